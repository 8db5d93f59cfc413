"""RTF: filters that are the impulse response of a rational transfer function, sampled on the roots of unity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.model import OptionValue, Shape
from hyenaprof.operators.base import normal, uniform
from hyenaprof.operators.long_convolution import FilterVariant
from hyenaprof.operators.tap_maker import ChannelTaps, remade


class TransferParameters(NamedTuple):
    """Coefficients of each channel's denominator and numerator, from power -1 of z down, and what passes through."""

    denominator_DN: Tensor
    numerator_DN: Tensor
    through_D: Tensor


@dataclass(frozen=True)
class TransferTaps(ChannelTaps):
    """H(z) = sum b_n z^-n / (1 + sum a_n z^-n) + h_0 on the M-th roots of unity, M = L or the next even number.

    The inverse transform folds what comes after M taps onto them, as in the authors' code: the numerator is learned as it
    is after folding.

    Attributes:
        states: N, the order of both polynomials.
    """

    states: int

    def parameters(self, shape: Shape, generator: torch.Generator) -> TransferParameters:
        """Coefficients uniform within 1/N, the authors' `montel`: a stable denominator, and taps that are not all zero."""
        sizes, bound = (shape.width, self.states), 1 / self.states
        return TransferParameters(
            denominator_DN=uniform(*sizes, bound=bound, generator=generator),
            numerator_DN=uniform(*sizes, bound=bound, generator=generator),
            through_D=normal(shape.width, generator=generator),
        )

    def parameter_count(self, shape: Shape) -> int:
        """2 D N + D."""
        return shape.width * (2 * self.states + 1)

    def flops(self, shape: Shape) -> tuple[float, float]:
        """Three real FFTs of L points a channel and L/2 complex quotients of 11; backward three more and two products."""
        points = shape.length + shape.length % 2
        transforms = 7.5 * shape.width * points * math.log2(points)
        return transforms + 5.5 * shape.width * points, transforms + 14.0 * shape.width * points

    def made(self, length: int, *rows_CX: Tensor) -> Tensor:
        """The taps, some channels at a time."""
        return remade(_Evaluated(length), *rows_CX, channel_bytes=8 * length * rows_CX[0].itemsize)

    def definition(self, length: int, width: int, *parameters: Tensor) -> Tensor:
        """The filters [1, D, L] again: both polynomials at each root, and a sum over the roots for each tap."""
        a_DN, b_DN, through_D = parameters
        points = length + length % 2
        turn_M = torch.arange(points, dtype=a_DN.dtype, device=a_DN.device) * (2 * math.pi / points)
        powers_NM = torch.arange(1, self.states + 1, dtype=a_DN.dtype, device=a_DN.device)[:, None] * turn_M
        roots_NM = torch.polar(torch.ones_like(powers_NM), -powers_NM)
        response_DM = (b_DN + 0j) @ roots_NM / (1 + (a_DN + 0j) @ roots_NM) + through_D.view(width, 1)
        back_ML = torch.arange(length, dtype=a_DN.dtype, device=a_DN.device) * turn_M[:, None]
        return (response_DM @ torch.polar(torch.ones_like(back_ML), back_ML)).real[None] / points


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """Gives the taps of some channels.

    Attributes:
        length: L.
    """

    length: int

    def __call__(self, a_CN: Tensor, b_CN: Tensor, through_C: Tensor) -> Tensor:
        points = self.length + self.length % 2
        below_CF = 1 + torch.fft.rfft(folded(functional.pad(a_CN, (1, 0)), points), n=points)
        above_CF = torch.fft.rfft(folded(functional.pad(b_CN, (1, 0)), points), n=points)
        taps_CM: Tensor = torch.fft.irfft(above_CF / below_CF + through_C[:, None], n=points)
        return taps_CM[:, : self.length].contiguous()


def folded(values_CX: Tensor, points: int) -> Tensor:
    """Values whose index is the same modulo `points`, added up, where there are more; a polynomial on the roots of unity."""
    if values_CX.shape[1] <= points:
        return values_CX
    whole = functional.pad(values_CX, (0, -values_CX.shape[1] % points))
    return whole.view(len(values_CX), -1, points).sum(1)


class RTF(FilterVariant):
    """Rational transfer functions (Parnichkun et al. 2024, "State-Free Inference of State-Space Models", arXiv:2405.06147).

    Options:
        states: Order of both polynomials.
        short_taps: Taps of the short filter on the streams.
        filter: `recomputed` or `cached`.
    """

    @staticmethod
    def filters(options: Mapping[str, OptionValue]) -> TransferTaps:
        """One transfer function a channel."""
        return TransferTaps(states=int(options["states"]))
