"""FNO: filters whose spectrum has a few learned modes and is zero above."""

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
from hyenaprof.operators.tap_maker import ChannelTaps


class ModeParameters(NamedTuple):
    """Complex modes of each channel's filter, from frequency 0 up; those above L / 2 are not used."""

    modes_real_DM: Tensor
    modes_imag_DM: Tensor


@dataclass(frozen=True)
class FourierTaps(ChannelTaps):
    """Taps k_t = 1/L [Re m_0 + 2 sum over 0 < f < L/2 of Re(m_f exp(2 pi i f t / L)) + (-1)^t Re m_{L/2}].

    Attributes:
        modes: M.
    """

    modes: int

    def parameters(self, shape: Shape, generator: torch.Generator) -> ModeParameters:
        """Standard normal modes, in float32 on the CPU."""
        return ModeParameters(*(normal(shape.width, self.modes, generator=generator) for _ in range(2)))

    def parameter_count(self, shape: Shape) -> int:
        """2 D M."""
        return 2 * shape.width * self.modes

    def flops(self, shape: Shape) -> tuple[float, float]:
        """One real FFT of L points a channel, in each pass."""
        transform = 2.5 * shape.width * shape.length * math.log2(max(2, shape.length))
        return transform, transform

    def made(self, length: int, *rows_CX: Tensor) -> Tensor:
        """The inverse transform of the modes."""
        real_CM, imag_CM = (row_CM[:, : length // 2 + 1] for row_CM in rows_CX)
        taps_CL: Tensor = torch.fft.irfft(torch.complex(real_CM, imag_CM), n=length)
        return taps_CL

    def definition(self, length: int, width: int, *parameters: Tensor) -> Tensor:
        """The filters [1, D, L] again, mode by mode."""
        real_DM, imag_DM = parameters
        turn_L = torch.arange(length, dtype=real_DM.dtype, device=real_DM.device) * (2 * math.pi / length)
        taps_DL = real_DM.new_zeros(width, length)
        for mode in range(min(self.modes, length // 2 + 1)):
            real_D1, imag_D1 = real_DM[:, mode, None], imag_DM[:, mode, None]
            twice = 1 if mode in {0, length / 2} else 2
            taps_DL = taps_DL + twice / length * real_D1 * torch.cos(mode * turn_L)
            if twice == 2:
                taps_DL = taps_DL - twice / length * imag_D1 * torch.sin(mode * turn_L)
        return taps_DL[None]


class FNO(FilterVariant):
    """The filter of Fourier neural operators (Li et al. 2020, arXiv:2010.08895), 64 modes as in the Hyena paper's comparison.

    As an operator of its own FNO is circular; here its filter stands in Hyena's causal layer.

    Options:
        modes: Complex modes a channel.
        short_taps: Taps of the short filter on the streams.
        filter: `recomputed` or `cached`.
    """

    @staticmethod
    def filters(options: Mapping[str, OptionValue]) -> FourierTaps:
        """M modes a channel."""
        return FourierTaps(modes=int(options["modes"]))
