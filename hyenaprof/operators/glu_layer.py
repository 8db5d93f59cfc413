"""The layer of S4 and S4D: convolve every channel of x with its kernel, add the skip, GELU, mix channels by a GLU."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.model import Scope, Shape
from hyenaprof.operators.base import Inputs, normal
from hyenaprof.operators.projections import linear
from hyenaprof.operators.state_space import Convolve, Need, Peak, StateSpaceOperator


class GluTensors(NamedTuple):
    """A layer's input, and the projection to twice the width that the GLU halves again."""

    x_BLD: Tensor
    glu_weight_PD: Tensor
    glu_bias_P: Tensor


class SkipWeights(NamedTuple):
    """What passes by the convolution."""

    skip_D: Tensor


class ConvolutionInputs(NamedTuple):
    """The core's: x channels first, and the kernel."""

    u_BDL: Tensor
    taps_DL: Tensor
    skip_D: Tensor


class GluLayer(StateSpaceOperator):
    """GLU(W GELU(h * x + b x) + c), GLU(a, g) = a sigmoid(g)."""

    outer_type, mixing_type, core_type, streams = GluTensors, SkipWeights, ConvolutionInputs, 1
    pointwise = 10.0
    """Two for the skip, eight for the GELU as a polynomial."""

    need: ClassVar[Need] = {
        ("fft", Scope.LAYER, False): (Peak(6, 3),),
        ("fft", Scope.LAYER, True): (Peak(13, 5),),
        ("chunked", Scope.LAYER, False): (Peak(1, 1, 4), Peak(4, 1)),
        ("chunked", Scope.LAYER, True): (Peak(3, 2, 6), Peak(7, 1)),
        ("fft", Scope.CORE, False): (Peak(6, 2),),
        ("fft", Scope.CORE, True): (Peak(13, 5),),
        ("chunked", Scope.CORE, False): (Peak(1, 0, 4), Peak(2, 0)),
        ("chunked", Scope.CORE, True): (Peak(3, 1, 6),),
    }

    def outer(self, shape: Shape, generator: torch.Generator) -> GluTensors:
        """Makes x ~ N(0, 1) and a projection as torch.nn.Linear does."""
        x_BLD = normal(shape.batch, shape.length, shape.width, generator=generator)
        return GluTensors(x_BLD, *linear(2 * shape.width, shape.width, generator))

    def mixing(self, shape: Shape, generator: torch.Generator) -> SkipWeights:
        """Skips ~ N(0, 1)."""
        return SkipWeights(normal(shape.width, generator=generator))

    def core(self, convolve: Convolve, *tensors: Tensor) -> Tensor:
        """Convolution, skip and GELU."""
        return functional.gelu(convolve(*tensors))

    def enter(self, outer: Inputs) -> Tensor:
        """The input as it is, channels first."""
        return outer[0].mT

    def leave(self, outer: Inputs, y_BDL: Tensor) -> Tensor:
        """The GLU over channels."""
        _, weight_PD, bias_P = outer
        return functional.glu(functional.linear(y_BDL.mT, weight_PD, bias_P))

    def outer_flops(self, shape: Shape) -> float:
        """4 B L D^2, and four for each sigmoid with its product."""
        elements = float(shape.batch * shape.length * shape.width)
        return 4.0 * elements * shape.width + 4.0 * elements

    def outer_bytes(self, shape: Shape, itemsize_bytes: int) -> float:
        """Read y, write the output, read the weights."""
        elements = 2 * shape.batch * shape.length * shape.width + self.outer_parameters(shape.width)
        return float(elements * itemsize_bytes)

    def outer_parameters(self, width: int) -> int:
        """2 D^2 + 2 D."""
        return 2 * width * (width + 1)
