"""LongConv: filters as long as the sequence, every tap learned, and small taps squashed to zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.model import OptionValue, Shape
from hyenaprof.operators.base import normal
from hyenaprof.operators.long_convolution import FilterVariant
from hyenaprof.operators.tap_maker import ChannelTaps

FIRST_SCALE = 0.02
"""Standard deviation of a first tap."""


class SquashedParameters(NamedTuple):
    """Taps before they are squashed."""

    raw_taps_DL: Tensor


@dataclass(frozen=True)
class SquashedTaps(ChannelTaps):
    """Taps sign(k) max(|k| - threshold, 0).

    Attributes:
        threshold: What magnitudes lose.
    """

    threshold: float

    def parameters(self, shape: Shape, generator: torch.Generator) -> SquashedParameters:
        """Normal taps under exp(-t / L (D // 2)^(d / D)) for channel d, the authors' `double_exp`."""
        place_L = torch.arange(shape.length) / shape.length
        rates_D = (shape.width // 2) ** (torch.arange(shape.width) / shape.width)
        decay_DL = torch.exp(-rates_D[:, None] * place_L)
        return SquashedParameters(FIRST_SCALE * normal(shape.width, shape.length, generator=generator) * decay_DL)

    def parameter_count(self, shape: Shape) -> int:
        """D L."""
        return shape.width * shape.length

    def flops(self, shape: Shape) -> tuple[float, float]:
        """A subtraction a tap forward, a product with 0 or 1 backward."""
        return float(shape.width * shape.length), float(shape.width * shape.length)

    def made(self, length: int, *rows_CX: Tensor) -> Tensor:  # noqa: ARG002 -- there are as many as are learned
        """All taps, squashed."""
        return functional.softshrink(rows_CX[0], self.threshold)

    def definition(self, length: int, width: int, *parameters: Tensor) -> Tensor:
        """The filters [1, D, L] again."""
        raw_DL = parameters[0].view(width, length)
        return (raw_DL.sign() * (raw_DL.abs() - self.threshold).clamp(min=0))[None]


class LongConv(FilterVariant):
    """Explicit full-length filters (Fu et al. 2023, "Simple Hardware-Efficient Long Convolutions", arXiv:2302.06646).

    Options:
        threshold: Lambda of the squashing; the authors try 0.001 to 0.1.
        short_taps: Taps of the short filter on the streams.
        filter: `recomputed` or `cached`.
    """

    @staticmethod
    def filters(options: Mapping[str, OptionValue]) -> SquashedTaps:
        """L taps a channel."""
        return SquashedTaps(threshold=float(options["threshold"]))
