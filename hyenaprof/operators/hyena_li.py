"""Hyena-LI of StripedHyena 2: filters as long as the sequence, sums of decaying exponentials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hyenaprof.model import OptionValue, Shape
from hyenaprof.operators.base import normal
from hyenaprof.operators.long_convolution import FilterVariant
from hyenaprof.operators.modal import modal_flops, modal_taps
from hyenaprof.operators.tap_maker import ChannelTaps

LEAST_RATE, MOST_RATE = 0.01, 0.1
"""Between which exp(gamma) starts."""


class ModalParameters(NamedTuple):
    """Residues R, and poles exp(-exp(p) exp(gamma)), of each channel's modes; gamma and p as in the authors' code."""

    residue_DN: Tensor
    gamma_DN: Tensor
    pole_DN: Tensor


@dataclass(frozen=True)
class ModalTaps(ChannelTaps):
    """Taps sum over n of R_n lambda_n^t with real poles 0 < lambda < 1.

    Attributes:
        states: N.
    """

    states: int

    def parameters(self, shape: Shape, generator: torch.Generator) -> ModalParameters:
        """R ~ N(0, 0.01 / N), exp(gamma) uniform from 0.01 to 0.1, p = -1, in float32 on the CPU."""
        sizes = (shape.width, self.states)
        spread = torch.rand(sizes, generator=generator) * (MOST_RATE - LEAST_RATE) + LEAST_RATE
        residue_DN = 0.1 / math.sqrt(self.states) * normal(*sizes, generator=generator)
        return ModalParameters(residue_DN, spread.log(), -torch.ones(sizes))

    def parameter_count(self, shape: Shape) -> int:
        """3 D N."""
        return 3 * shape.width * self.states

    def flops(self, shape: Shape) -> tuple[float, float]:
        """2 D L N for the sum, twice that backward."""
        return modal_flops(shape.width, shape.length, self.states)

    def made(self, length: int, *rows_CX: Tensor) -> Tensor:
        """The taps by products of short tables of powers."""
        residue_CN, gamma_CN, pole_CN = rows_CX
        return modal_taps(residue_CN, -torch.exp(pole_CN) * torch.exp(gamma_CN), length)

    def definition(self, length: int, width: int, *parameters: Tensor) -> Tensor:
        """The filters [1, D, L] again, by the modes' recurrence: x_0 = R, x_t = lambda x_{t-1}."""
        residue_DN, gamma_DN, pole_DN = parameters
        poles_DN = torch.exp(-torch.exp(pole_DN + gamma_DN)).view(width, -1)
        taps, state_DN = [], residue_DN
        for _ in range(length):
            taps.append(state_DN.sum(1))
            state_DN = state_DN * poles_DN
        return torch.stack(taps, dim=1)[None]


class HyenaLI(FilterVariant):
    """Long implicit filters (Ku et al. 2025, arXiv:2503.01868): 16 real exponentials a channel, as in Evo 2.

    Options:
        states: Exponentials a channel.
        short_taps: Taps of the short filter on the streams.
        filter: `recomputed` or `cached`.
    """

    @staticmethod
    def filters(options: Mapping[str, OptionValue]) -> ModalTaps:
        """N exponentials a channel."""
        return ModalTaps(states=int(options["states"]))
