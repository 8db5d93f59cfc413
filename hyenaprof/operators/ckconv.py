"""CKConv: filters that a small network of sines makes of the position, without a window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.model import OptionValue, Shape
from hyenaprof.operators.base import uniform
from hyenaprof.operators.long_convolution import FilterVariant
from hyenaprof.operators.tap_maker import NetworkTaps


class SirenParameters(NamedTuple):
    """The network: a position to W, W to W, W to D."""

    siren_first_W1: Tensor
    siren_first_bias_W: Tensor
    siren_inner_WW: Tensor
    siren_inner_bias_W: Tensor
    siren_last_DW: Tensor
    siren_last_bias_D: Tensor


@dataclass(frozen=True)
class SirenTaps(NetworkTaps):
    """Taps W_3 sin(w (W_2 sin(w (W_1 p + b_1)) + b_2)) + b_3 at positions p from -1 to 1.

    Attributes:
        width: W.
        frequency: w.
        orders: O, one.
    """

    width: int
    frequency: float
    orders: int = 1

    def parameters(self, shape: Shape, generator: torch.Generator) -> SirenParameters:
        """Uniform within 1 in the first layer and sqrt(6 / W) / w in the others, biases as in torch.nn.Linear."""
        wide, inner = self.width, math.sqrt(6 / self.width) / self.frequency
        bound = 1 / math.sqrt(wide)
        return SirenParameters(
            siren_first_W1=uniform(wide, 1, bound=1.0, generator=generator),
            siren_first_bias_W=uniform(wide, bound=1.0, generator=generator),
            siren_inner_WW=uniform(wide, wide, bound=inner, generator=generator),
            siren_inner_bias_W=uniform(wide, bound=bound, generator=generator),
            siren_last_DW=uniform(shape.width, wide, bound=inner, generator=generator),
            siren_last_bias_D=uniform(shape.width, bound=bound, generator=generator),
        )

    def parameter_count(self, shape: Shape) -> int:
        """2 W + W^2 + W + D W + D."""
        return 3 * self.width + self.width**2 + shape.width * (self.width + 1)

    def saved_elements(self, shape: Shape) -> int:
        """5 L W: of each hidden layer the argument of its sine and the sine, of the last once more with a one beside it."""
        return shape.length * (5 * self.width + 1)

    def hidden_elements(self, shape: Shape) -> int:
        """L (W + 1): the last hidden layer, and a one for the bias."""
        return shape.length * (self.width + 1)

    def flops(self, shape: Shape) -> tuple[float, float]:
        """2 L (W + W^2 + W D) and 2 L W sines; backward twice the products, and the sines once more."""
        products = 2.0 * shape.length * self.width * (1 + self.width + shape.width)
        sines = 2.0 * shape.length * self.width
        return products + sines, 2 * products + sines

    def constants(self, shape: Shape, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
        """The positions [L, 1]."""
        return (torch.linspace(-1, 1, shape.length, dtype=torch.float64)[:, None].to(device, dtype),)

    def hidden(self, *parameters: Tensor) -> Tensor:
        """The last hidden layer and a column of ones, [L, W + 1]."""
        *learned, place_L1 = parameters
        given = SirenParameters(*learned)
        first_LW = functional.linear(place_L1, given.siren_first_W1, given.siren_first_bias_W)
        inner_LW = functional.linear(
            torch.sin(self.frequency * first_LW), given.siren_inner_WW, given.siren_inner_bias_W
        )
        return torch.cat([torch.sin(self.frequency * inner_LW), torch.ones_like(place_L1)], dim=1)

    def last(self, *parameters: Tensor) -> Tensor:
        """The last layer with its bias beside it, [D, W + 1]."""
        given = SirenParameters(*parameters)
        return torch.cat([given.siren_last_DW, given.siren_last_bias_D[:, None]], dim=1)

    def definition(self, length: int, width: int, *parameters: Tensor) -> Tensor:
        """The filters [1, D, L] again, position by position."""
        first_W1, first_bias_W, inner_WW, inner_bias_W, last_DW, last_bias_D = parameters
        taps = []
        for t in range(length):
            place = -1 + 2 * t / max(1, length - 1)
            first_W = torch.sin(self.frequency * (first_W1[:, 0] * place + first_bias_W))
            inner_W = torch.sin(self.frequency * ((inner_WW * first_W).sum(1) + inner_bias_W))
            taps.append((last_DW.view(width, -1) * inner_W).sum(1) + last_bias_D)
        return torch.stack(taps, dim=1)[None]


class CKConv(FilterVariant):
    """Continuous kernels (Romero et al. 2021, arXiv:2102.02611) made by a SIREN (Sitzmann et al. 2020, arXiv:2006.09661).

    Depthwise and 32 wide, as in the Hyena paper's comparison; CKConv's own layer mixes all channels in its filter.

    Options:
        filter_width: W of the network.
        frequency: Factor inside its sines.
        short_taps: Taps of the short filter on the streams.
        filter: `recomputed` or `cached`.
    """

    @staticmethod
    def filters(options: Mapping[str, OptionValue]) -> SirenTaps:
        """A network of three layers."""
        return SirenTaps(width=int(options["filter_width"]), frequency=float(options["frequency"]))
