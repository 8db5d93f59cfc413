"""SGConv: filters of pieces that double in length and fall in size, each stretched from a few learned values."""

from __future__ import annotations

import math
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

DECAY = 2.0
"""How much larger each piece is than the one after it."""


class PieceParameters(NamedTuple):
    """Learned values of each piece."""

    pieces_DPV: Tensor


@dataclass(frozen=True)
class StretchedTaps(ChannelTaps):
    """P = 1 + ceil(log2(L / V)) pieces of V values, stretched by 1, 1, 2, 4, .. and weighted by 2^(P - 1 - p).

    Attributes:
        values: V, of each piece.
    """

    values: int

    def parameters(self, shape: Shape, generator: torch.Generator) -> PieceParameters:
        """Normal values, divided by the norm of the filter that they make.

        The authors' code keeps that norm from its first call on and divides by it in every call; a filter is linear in its
        pieces, so dividing them once is the same.
        """
        pieces_DPV = normal(shape.width, self.pieces(shape.length), self.values, generator=generator)
        norm_D = self._whole(pieces_DPV).norm(dim=1)
        return PieceParameters(pieces_DPV / norm_D[:, None, None])

    def pieces(self, length: int) -> int:
        """P: what covers the length."""
        return 1 + max(0, math.ceil(math.log2(length / self.values)))

    def parameter_count(self, shape: Shape) -> int:
        """D V P."""
        return shape.width * self.values * self.pieces(shape.length)

    def flops(self, shape: Shape) -> tuple[float, float]:
        """Four a tap for a straight line and a weight, in each pass."""
        return 4.0 * shape.width * shape.length, 4.0 * shape.width * shape.length

    def made(self, length: int, *rows_CX: Tensor) -> Tensor:
        """The first L values of all pieces in a row."""
        return self._whole(rows_CX[0])[:, :length].contiguous()

    def _whole(self, pieces_CPV: Tensor) -> Tensor:
        stretched = [self._stretched(pieces_CPV, index) for index in range(pieces_CPV.shape[1])]
        return torch.cat(stretched, dim=1)

    def _stretched(self, pieces_CPV: Tensor, index: int) -> Tensor:
        values_1CV, weight = pieces_CPV[None, :, index], DECAY ** (pieces_CPV.shape[1] - 1 - index)
        times = 2 ** max(0, index - 1)
        if times > 1:
            values_1CV = functional.interpolate(values_1CV, scale_factor=times, mode="linear")
        return values_1CV[0] * weight

    def definition(self, length: int, width: int, *parameters: Tensor) -> Tensor:
        """The filters [1, D, L] again: each tap on a straight line between the values beside its place."""
        pieces_DPV = parameters[0].view(width, -1, self.values)
        taps: list[Tensor] = []
        for index in range(pieces_DPV.shape[1]):
            times, weight = 2 ** max(0, index - 1), DECAY ** (pieces_DPV.shape[1] - 1 - index)
            for place in range(self.values * times):
                source = max(0.0, (place + 0.5) / times - 0.5)
                left = int(source)
                right, share = min(left + 1, self.values - 1), source - left
                line_D = (1 - share) * pieces_DPV[:, index, left] + share * pieces_DPV[:, index, right]
                taps.append(weight * line_D)
        return torch.stack(taps[:length], dim=1)[None]


class SGConv(FilterVariant):
    """Structured global convolution (Li et al. 2022, arXiv:2210.09298), pieces of 64 values as in the authors' code.

    Options:
        values: Learned values of each piece.
        short_taps: Taps of the short filter on the streams.
        filter: `recomputed` or `cached`.
    """

    @staticmethod
    def filters(options: Mapping[str, OptionValue]) -> StretchedTaps:
        """Pieces of V values."""
        return StretchedTaps(values=int(options["values"]))
