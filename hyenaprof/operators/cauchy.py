"""The kernel of a diagonal plus low-rank state space from its generating function at the roots of unity.

With z = exp(-i theta), c = cos(theta / 2), s = sin(theta / 2), mu_n = dt lambda_n, the function is by the Woodbury identity

    2 dt exp(i theta / 2) [S(C, B) - 2 c dt S(C, P) S(P*, B) / (1 + 2 c dt S(P*, P))]

where S(x, y), a sum over conjugate pairs, is one of real parts with one complex factor a pair:

    S = sum over n of (2 i s Re(x y) - c Re(x y mu*)) R_n,    R_n = 1 / (c^2 |mu_n|^2 - 4 s^2 - 4 i s c Re mu_n).

In this form nothing is infinite at z = -1. A channel's R [N, F] is made in real numbers, used in one matrix product, and
made again for gradients: it never exists for many channels.

Source: Gu et al. 2021, "Efficiently Modeling Long Sequences with Structured State Spaces", algorithm 1, arXiv:2111.00396.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hyenaprof.operators.tap_maker import channels_at_once, remade

KEPT = 8
"""Numbers that are held for each pair and root while a channel's taps and their gradients are made."""


def generated_taps(
    output_CN: Tensor, entry_CN: Tensor, rank_CN: Tensor, *, step_C: Tensor, rates: tuple[Tensor, Tensor], points: int
) -> Tensor:
    """Taps [C, M] of x' = (diag(lambda) - P P*) x + B u, y = C x, discretised bilinearly; C with the factor 1 - A^M.

    Args:
        output_CN: C of one of each conjugate pair, complex, as are B and P.
        entry_CN: B.
        rank_CN: P.
        step_C: dt.
        rates: Real and imaginary parts of dt lambda, each [C, N].
        points: M.
    """
    rate_CN = torch.complex(*rates)
    pairs_C4N = torch.stack(
        [output_CN * entry_CN, output_CN * rank_CN, rank_CN.conj() * entry_CN, rank_CN.conj() * rank_CN], dim=1
    )
    real_C8N = torch.cat([2 * pairs_C4N.real, -(pairs_C4N * rate_CN[:, None].conj()).real], dim=1)
    size_CN, decay_CN = rates[0] ** 2 + rates[1] ** 2, rates[0]
    channel_bytes = decay_CN.itemsize * _held(points, decay_CN.shape[1])
    return remade(_Generated(points), real_C8N, size_CN, decay_CN, step_C, channel_bytes=channel_bytes)


def _held(points: int, pairs: int) -> float:
    """Numbers that are held for a channel."""
    return float(KEPT * (points // 2 + 1) * (pairs + 8))


def making_bytes(channels: int, points: int, pairs: int, *, learns: bool) -> float:
    """Peak memory of `generated_taps` in float64: its taps, and its channels at once by measured shares of `KEPT`.

    From the allocations of torch.profiler on a CPU (torch 2.13), 128 channels of 32 pairs and 2048 points.
    """
    channel_bytes = 8.0 * _held(points, pairs)
    at_once = min(channels, channels_at_once(channel_bytes)) * channel_bytes
    return 8.0 * channels * points + (1.45 if learns else 0.75) * at_once


def cauchy_flops(channels: int, length: int, pairs: int) -> tuple[float, float]:
    """(forward, backward): 12 and 32 for each pair and root, 120 for each root, and a real FFT of L points.

    Backward makes R again, and takes two products and 20 for each pair and root.
    """
    roots, transform = channels * (length // 2 + 1), 2.5 * channels * length * math.log2(max(2, length))
    forward = roots * (44.0 * pairs + 120) + transform
    return forward, forward + roots * (84.0 * pairs + 240) + transform


@dataclass(frozen=True, slots=True)
class _Generated:
    """Gives the taps of some channels.

    Attributes:
        points: M.
    """

    points: int

    def __call__(self, real_C8N: Tensor, size_CN: Tensor, decay_CN: Tensor, step_C: Tensor) -> Tensor:
        cos_F, sin_F = self._half_angles(step_C)
        straight_CNF = size_CN[..., None] * cos_F**2 - 4 * sin_F**2
        across_CNF = -4 * decay_CN[..., None] * (sin_F * cos_F)
        norm_CNF = straight_CNF**2 + across_CNF**2
        factor_CNX = torch.cat([straight_CNF / norm_CNF, -across_CNF / norm_CNF], dim=2)
        sums_C8F = torch.complex(*(real_C8N @ factor_CNX).chunk(2, dim=2))
        sums_C4F = 1j * sin_F * sums_C8F[:, :4] + cos_F * sums_C8F[:, 4:]
        direct_CF, first_CF, second_CF, inner_CF = sums_C4F.unbind(1)
        weight_CF = 2 * step_C[:, None] * cos_F
        response_CF = direct_CF - weight_CF * first_CF * second_CF / (1 + weight_CF * inner_CF)
        turned_CF = 2 * step_C[:, None] * response_CF * torch.complex(cos_F, sin_F)
        taps_CM: Tensor = torch.fft.irfft(turned_CF, n=self.points)
        return taps_CM

    def _half_angles(self, like: Tensor) -> tuple[Tensor, Tensor]:
        half_F = torch.arange(self.points // 2 + 1, dtype=torch.float64, device=like.device) * (math.pi / self.points)
        return half_F.cos().to(like.dtype), half_F.sin().to(like.dtype)
