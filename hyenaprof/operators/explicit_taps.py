"""Short filters that are learned tap by tap, a filter of its own for each channel or for groups of neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hyenaprof.model import Shape
from hyenaprof.operators.base import normal, uniform
from hyenaprof.operators.tap_maker import ChannelTaps


class ExplicitParameters(NamedTuple):
    """The taps of each group; of a sequence shorter than K, only its first ones are used."""

    taps_GK: Tensor


@dataclass(frozen=True)
class ExplicitTaps(ChannelTaps):
    """The filter's settings.

    Attributes:
        most_taps: K.
        group: Neighbouring channels that share a filter; the last group may have fewer.
        decaying: Whether filters lie under exp(-r t / (K - 1)), with rates r from 1 in the first group to 100 in the last;
            then taps start as N(0, 1 / K), else as torch.nn.Conv1d's do.
    """

    most_taps: int
    group: int = 1
    decaying: bool = False

    def parameters(self, shape: Shape, generator: torch.Generator) -> ExplicitParameters:
        """Makes the taps, in float32 on the CPU."""
        sizes, scale = (self._groups(shape.width), self.most_taps), 1 / math.sqrt(self.most_taps)
        if self.decaying:
            return ExplicitParameters(scale * normal(*sizes, generator=generator))
        return ExplicitParameters(uniform(*sizes, bound=scale, generator=generator))

    def parameter_count(self, shape: Shape) -> int:
        """G K."""
        return self._groups(shape.width) * self.most_taps

    def flops(self, shape: Shape) -> tuple[float, float]:
        """D K for the decay, in each pass; else none."""
        decay = float(shape.width * self.taps(shape.length)) if self.decaying else 0.0
        return decay, decay

    def constants(self, shape: Shape) -> tuple[Tensor, ...]:
        """The decay [D, K], where there is one."""
        if not self.decaying:
            return ()
        rates_G = torch.logspace(0, 2, self._groups(shape.width), dtype=torch.float64)
        places_K = torch.linspace(0, 1, self.most_taps, dtype=torch.float64)
        return self.spread(shape.width, torch.exp(-rates_G[:, None] * places_K))

    def spread(self, width: int, *parameters: Tensor) -> tuple[Tensor, ...]:
        """Each group's row for each of its channels."""
        if self.group == 1:
            return parameters
        return tuple(row_GK.repeat_interleave(min(self.group, width), 0)[:width] for row_GK in parameters)

    def made(self, length: int, *rows_CX: Tensor) -> Tensor:
        """The first K taps or L, whichever is less."""
        taps_CK, *decay = (row_CK[:, :length] for row_CK in rows_CX)
        return taps_CK * decay[0] if decay else taps_CK

    def definition(self, length: int, width: int, *parameters: Tensor) -> Tensor:
        """The filters [1, D, K] again, the decay written out tap by tap."""
        (taps_GK,) = parameters
        groups, taps = taps_GK.shape

        def decay(channel: int, tap: int) -> float:
            rate = 100 ** (channel // self.group / max(1, groups - 1))
            return math.exp(-rate * tap / max(1, taps - 1)) if self.decaying else 1.0

        decays = [[decay(channel, tap) for tap in range(min(length, taps))] for channel in range(width)]
        rows = [channel // self.group for channel in range(width)]
        return (taps_GK[rows, :length] * taps_GK.new_tensor(decays))[None]

    def _groups(self, width: int) -> int:
        return -(-width // self.group)
