"""The gated long convolution channels first, its pointwise stages fused by torch.compile between products and transforms.

Matrix products and transforms are library calls in any case; what a compiler can save is the passes over memory between
them: short filter and first gate in one, skip and next gate in one. Gradients are autograd's, of the compiled stages too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.operators.compilers import compiled_whole, cxx_compiler
from hyenaprof.operators.convolution import long_convolution
from hyenaprof.operators.gated_convolution import MixingWeights
from hyenaprof.operators.projections import LayerTensors

LEAST_LENGTH = 16
"""Below, the stages run as they are written: torch.compile would make another version for each tiny size."""
EXAMPLE_LENGTH = 64
"""Of the sequence on which stages are compiled."""


class Stages(NamedTuple):
    """The two pointwise stages."""

    enter: Callable[[Tensor, Tensor, Tensor, int], tuple[Tensor, ...]]
    """(z_BPL, short_weight_PT, short_bias_P, D) to the first gated input and the gates left, the next one first."""
    leave: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    """(convolution_BDL, its input u_BDL, skip_D, gate_BDL) to the next gated input, or to y."""


def enter(z_BPL: Tensor, weight_PT: Tensor, bias_P: Tensor, width: int) -> tuple[Tensor, ...]:
    """Short filter by shifted multiply-adds, then the first gate."""
    length, taps = z_BPL.shape[-1], weight_PT.shape[1]
    short_BPL = bias_P[:, None] + weight_PT[:, taps - 1, None] * z_BPL
    for lag in range(1, taps):
        late_BPL = functional.pad(z_BPL, (lag, 0))[..., :length]
        short_BPL = short_BPL + weight_PT[:, taps - 1 - lag, None] * late_BPL
    *gates, v_BDL = torch.split(short_BPL, width, dim=1)
    return gates[-1] * v_BDL, *reversed(gates[:-1])


def leave(convolved_BDL: Tensor, u_BDL: Tensor, skip_D: Tensor, gate_BDL: Tensor) -> Tensor:
    """Skip, then gate."""
    return (convolved_BDL + skip_D[:, None] * u_BDL) * gate_BDL


WRITTEN = Stages(enter, leave)


def compiled_core(z_BPL: Tensor, taps_ODL: Tensor, weights: MixingWeights, stages: Stages) -> Tensor:
    """The core, [B, P, L] to [B, D, L]."""
    u_BDL, *gates = stages.enter(z_BPL, weights.short_weight_PT, weights.short_bias_P, taps_ODL.shape[1])
    del z_BPL
    for taps_DL, skip_D in zip(taps_ODL, weights.skip_OD, strict=True):
        u_BDL = stages.leave(long_convolution(u_BDL, taps_DL), u_BDL, skip_D, gates.pop(0))
    return u_BDL


def compiled_layer(given: LayerTensors, weights: MixingWeights, taps_ODL: Tensor, stages: Stages) -> Tensor:
    """The layer, x [B, L, D] to [B, L, D], streams channels first by the product itself."""
    projected_BPL = given.in_weight_PD @ given.x_BLD.mT
    y_BDL = compiled_core(projected_BPL.add_(given.in_bias_P[:, None]), taps_ODL, weights, stages)
    return functional.linear(y_BDL.mT, given.out_weight_DD, given.out_bias_D)


def compiled_stages(length: int, device: torch.device, *, run: Callable[[Stages], None]) -> Stages:
    """Compiles the stages here, in `setup_s`, and not in the first call.

    Args:
        length: L; a tiny sequence needs no compiler.
        device: Where.
        run: Calls the stages as they will be called, on a short sequence: what differs in rank, strides or in being a
            leaf would be compiled again.

    Raises:
        Unsupported: No compiler, or it refuses, in its own words.
    """
    if length < LEAST_LENGTH:
        return WRITTEN
    if device.type == "cpu":
        cxx_compiler()  # torch's own words for its absence name no remedy
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's compiler warns of reading .grad of its inputs
        stages = _compiled()
        run(stages)
    return stages


@cache
def _compiled() -> Stages:
    return Stages(compiled_whole(enter, dynamic=True), compiled_whole(leave, dynamic=True))
