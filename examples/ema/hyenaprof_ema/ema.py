"""A gated moving average: y[t] = gate[t] * state[t], where state[t] = d * state[t - 1] + (1 - d) * value[t].

Value and gate are projections of x, and each channel learns its own decay d between 0 and 1. Tensors end in their
dimensions: B batch, L length, D width, P the two projected streams together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.errors import Unsupported
from hyenaprof.model import Cost, DType, Phase, Scope, Shape
from hyenaprof.operators.base import TORCH_DTYPES, Inputs, Launcher, Operator, leaf, normal, of_phase, seeded
from hyenaprof.operators.convolution import long_convolution
from hyenaprof.operators.projections import layer_tensors, projection_bytes, projection_flops, projection_parameters
from hyenaprof_ema import EMA

States = Callable[[Tensor, Tensor], Tensor]
"""Of value_BLD and decay_D: every state."""


class LayerInputs(NamedTuple):
    """All that a layer computes with; gradients are compared field by field, and go by the field's name."""

    x_BLD: Tensor
    in_weight_PD: Tensor
    in_bias_P: Tensor
    out_weight_DD: Tensor
    out_bias_D: Tensor
    decay_D: Tensor
    """d before its sigmoid."""


class CoreInputs(NamedTuple):
    """What lies between the projections."""

    value_BLD: Tensor
    gate_BLD: Tensor
    decay_D: Tensor


class Ema(Operator):
    """The operator; its implementations differ in how they get the states without going step by step."""

    entry = EMA  # for those who name the class itself: --ops hyenaprof_ema.ema:Ema

    def inputs(self, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device, seed: int) -> Inputs:
        """Makes inputs and weights from the seed; never timed."""
        generator = seeded(seed)
        decay_D = torch.tensor(float(self.options["steps"])).log() + normal(shape.width, generator=generator)
        if scope is Scope.LAYER:
            made: Inputs = LayerInputs(*layer_tensors(shape, 2, generator), decay_D)
        else:
            sizes = (shape.batch, shape.length, shape.width)
            made = CoreInputs(*(normal(*sizes, generator=generator) for _ in range(2)), decay_D)
        return type(made)(*(leaf(tensor, TORCH_DTYPES[dtype], device) for tensor in made))

    def build(self, implementation: str, shape: Shape, scope: Scope, *, dtype: DType, device: torch.device) -> Launcher:
        """Gives the callable that is timed; it is called with the fields of `inputs`."""
        if implementation not in STATES:
            raise Unsupported(f"ema has no implementation {implementation!r}")
        return _around(STATES[implementation], scope)

    def reference(self, scope: Scope, *inputs: Tensor) -> Tensor:
        """The definition, on float64 tensors: the same layer, its states one step after the other."""
        return _around(step_by_step, scope)(*inputs)

    def cost(self, implementation: str, shape: Shape, scope: Scope, *, phase: Phase, dtype: DType) -> Cost:
        """Work and memory by formula: a state takes three operations, its gate one."""
        elements, size = shape.batch * shape.length * shape.width, dtype.itemsize_bytes
        flops, moved, parameters = 4.0 * elements, 3.0 * elements * size, 0
        if scope is Scope.LAYER:
            flops += projection_flops(shape, 2)
            moved += projection_bytes(shape, 2, size)
            parameters = projection_parameters(shape.width, 2) + shape.width
        return Cost(
            flops=of_phase(phase, forward=flops, backward=2 * flops),
            bytes=of_phase(phase, forward=moved, backward=2 * moved),
            parameters=parameters,
            need_bytes=(16.0 if phase.has_gradients else 10.0) * elements * max(4, size),
            source="the recurrence, written out",
        )


def _around(states: States, scope: Scope) -> Launcher:
    """The layer, or in core scope what lies between its projections."""

    def core(value_BLD: Tensor, gate_BLD: Tensor, decay_D: Tensor) -> Tensor:
        return gate_BLD * states(value_BLD, decay_D)

    def layer(*tensors: Tensor) -> Tensor:
        given = LayerInputs(*tensors)
        value_BLD, gate_BLD = functional.linear(given.x_BLD, given.in_weight_PD, given.in_bias_P).chunk(2, dim=-1)
        return functional.linear(core(value_BLD, gate_BLD, given.decay_D), given.out_weight_DD, given.out_bias_D)

    return layer if scope is Scope.LAYER else core


def step_by_step(value_BLD: Tensor, decay_D: Tensor) -> Tensor:
    """The states by their definition."""
    d_D = torch.sigmoid(decay_D)
    state_BD, states = torch.zeros_like(value_BLD[:, 0]), []
    for value_BD in value_BLD.unbind(1):
        state_BD = d_D * state_BD + (1 - d_D) * value_BD
        states.append(state_BD)
    return torch.stack(states, dim=1)


def by_fft(value_BLD: Tensor, decay_D: Tensor) -> Tensor:
    """The states as a convolution: the value s positions earlier counts (1 - d) d^s."""
    decay_D1 = _wide(decay_D)[:, None]
    lags_L = torch.arange(value_BLD.shape[1], device=decay_D.device)
    taps_DL = torch.sigmoid(-decay_D1) * torch.exp(lags_L * functional.logsigmoid(decay_D1))
    return long_convolution(value_BLD.mT, taps_DL).mT


def by_doubling(value_BLD: Tensor, decay_D: Tensor) -> Tensor:
    """The states in log2 L steps: a sum over 2s positions is one over s, and the one before it times d^s."""
    log_d_D = functional.logsigmoid(_wide(decay_D))
    sums_BLD, span = torch.sigmoid(-_wide(decay_D)) * value_BLD, 1
    while span < value_BLD.shape[1]:
        sums_BLD = sums_BLD + torch.exp(span * log_d_D) * functional.pad(sums_BLD[:, :-span], (0, 0, span, 0))
        span *= 2
    return sums_BLD.to(value_BLD.dtype)


def _wide(tensor: Tensor) -> Tensor:
    """In at least float32: in 16 bits a d near 1 is rounded to 1, and `hyenaprof verify --dtype bfloat16` is red."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


STATES: dict[str, States] = {"fft": by_fft, "doubling": by_doubling}
