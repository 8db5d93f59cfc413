"""H3: a shift and a diagonal state space, with a gate before and after the second: q (h_diag * (k' v)), k' = h_shift * k."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.model import OptionValue, Scope, Shape
from hyenaprof.operators.base import Inputs, normal
from hyenaprof.operators.explicit_taps import ExplicitParameters, ExplicitTaps
from hyenaprof.operators.projections import (
    LayerTensors,
    layer_tensors,
    projection_bytes,
    projection_flops,
    projection_parameters,
)
from hyenaprof.operators.s4d import DiagonalTaps
from hyenaprof.operators.state_space import Convolve, Need, Peak, StateSpaceOperator
from hyenaprof.operators.tap_maker import TapMaker

PARTS = 3
"""Widths that the input projection gives: queries, keys and values, in this order."""


class SkipWeights(NamedTuple):
    """What passes by each of the convolutions."""

    shift_skip_D: Tensor
    skip_D: Tensor


class CoreInputs(NamedTuple):
    """What lies between the projections, channels first, and both kernels."""

    z_BPL: Tensor
    shift_taps_DK: Tensor
    taps_DL: Tensor
    shift_skip_D: Tensor
    skip_D: Tensor


@dataclass(frozen=True)
class ShiftTaps(ExplicitTaps):
    """The kernel of a state that shifts by one place in each step, its input the first place: its outputs, one a step."""

    def parameters(self, shape: Shape, generator: torch.Generator) -> ExplicitParameters:
        """Outputs ~ N(0, 1), as in the authors' code."""
        return ExplicitParameters(normal(shape.width, self.most_taps, generator=generator))


class H3(StateSpaceOperator):
    """Hungry Hungry Hippos (Fu et al. 2022, arXiv:2212.14052), heads of one channel, as in the authors' language models.

    Options:
        states: N of the diagonal state space, even; initialised as S4D-Lin.
        shift_states: Of the shift.
    """

    outer_type, mixing_type, core_type, streams = LayerTensors, SkipWeights, CoreInputs, PARTS
    pointwise = 6.0
    """Two skips and two gates."""
    source = "Fu et al. 2022, arXiv:2212.14052: as the authors' h3.py, both convolutions by real FFTs of L + K points"

    need: ClassVar[Need] = {
        ("fft", Scope.LAYER, False): (Peak(11, 3),),
        ("fft", Scope.LAYER, True): (Peak(20, 7),),
        ("chunked", Scope.LAYER, False): (Peak(6, 1, 4),),
        ("chunked", Scope.LAYER, True): (Peak(9, 2, 6),),
        ("fft", Scope.CORE, False): (Peak(8, 2),),
        ("fft", Scope.CORE, True): (Peak(17, 7),),
        ("chunked", Scope.CORE, False): (Peak(3, 0, 4),),
        ("chunked", Scope.CORE, True): (Peak(6, 1, 6),),
    }

    def made_kernels(self, options: Mapping[str, OptionValue]) -> tuple[TapMaker, ...]:
        """The shift, and the diagonal state space."""
        return ShiftTaps(most_taps=int(options["shift_states"])), DiagonalTaps(states=int(options["states"]))

    def split(self, parameters: Inputs) -> tuple[Inputs, ...]:
        """One tensor for the shift, the others for the diagonal state space."""
        return parameters[:1], parameters[1:]

    def outer(self, shape: Shape, generator: torch.Generator) -> LayerTensors:
        """Makes x and projections as on every side."""
        return layer_tensors(shape, PARTS, generator)

    def mixing(self, shape: Shape, generator: torch.Generator) -> SkipWeights:
        """Skips ~ N(0, 1)."""
        return SkipWeights(*(normal(shape.width, generator=generator) for _ in range(2)))

    def core(self, convolve: Convolve, *tensors: Tensor) -> Tensor:
        """Shift, gate, convolve, gate."""
        given = CoreInputs(*tensors)
        q_BDL, k_BDL, v_BDL = given.z_BPL.chunk(PARTS, dim=1)
        shifted_BDL = convolve(k_BDL, given.shift_taps_DK, given.shift_skip_D)
        return q_BDL * convolve(shifted_BDL * v_BDL, given.taps_DL, given.skip_D)

    def enter(self, outer: Inputs) -> Tensor:
        """Queries, keys and values, channels first by the product itself."""
        given = LayerTensors(*outer)
        return given.in_weight_PD @ given.x_BLD.mT + given.in_bias_P[:, None]

    def leave(self, outer: Inputs, y_BDL: Tensor) -> Tensor:
        """The output projection."""
        given = LayerTensors(*outer)
        return functional.linear(y_BDL.mT, given.out_weight_DD, given.out_bias_D)

    def outer_flops(self, shape: Shape) -> float:
        """Both projections."""
        return projection_flops(shape, PARTS)

    def outer_bytes(self, shape: Shape, itemsize_bytes: int) -> float:
        """Both projections."""
        return projection_bytes(shape, PARTS, itemsize_bytes)

    def outer_parameters(self, width: int) -> int:
        """Both projections."""
        return projection_parameters(width, PARTS)
