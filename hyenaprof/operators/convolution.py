"""Causal convolutions of each channel with its own filter: a long one by FFT, a short one by taps, and the definition."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.errors import OperatorError


@lru_cache
def smooth_length(least: int) -> int:
    """The least even number from `least` on with no prime factor above 5: a length at which FFTs are fast.

    A length with a large prime factor costs MKL 6.4 times as much per point (16381 points against 16384). Even, since a
    real transform of n points is done as a complex one of n / 2.
    """
    length = max(2, least + least % 2)
    while not _is_smooth(length):
        length += 2
    return length


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number == 1


def long_convolution(u_BDL: Tensor, k_DK: Tensor) -> Tensor:
    """Causal convolution of each channel with its own filter, as long as the input or shorter.

    y[b, d, t] = sum over s <= t of k[d, s] * u[b, d, t - s], by an FFT of length >= L + K - 1 so that nothing wraps round.

    Args:
        u_BDL: Input, any floating dtype.
        k_DK: Filters of K <= L taps, any floating dtype.

    Returns:
        y_BDL in u's dtype. The transform runs in float32 (float64 for float64): half-precision FFTs lose digits as L
        grows, and their spectra overflow.

    Raises:
        OperatorError: Channels differ, or a filter is longer than the input.

    Source: Poli et al. 2023, "Hyena Hierarchy", section 3, arXiv:2302.10866.
    """
    (_, taps), length = _fitting(u_BDL, k_DK), u_BDL.shape[-1]
    points = smooth_length(length + taps - 1)
    compute = torch.float64 if u_BDL.dtype == torch.float64 else torch.float32
    u_spectrum_BDF = torch.fft.rfft(u_BDL.to(compute), n=points)
    k_spectrum_DF = torch.fft.rfft(k_DK.to(compute), n=points)
    y_BDL: Tensor = torch.fft.irfft(u_spectrum_BDF * k_spectrum_DF, n=points)[..., :length]
    return y_BDL.to(u_BDL.dtype)


def _fitting(u_BDL: Tensor, k_DK: Tensor) -> torch.Size:
    if u_BDL.shape[1] != k_DK.shape[0] or u_BDL.shape[2] < k_DK.shape[1]:
        raise OperatorError(f"{tuple(k_DK.shape)} filters do not fit an input of {tuple(u_BDL.shape)}")
    return k_DK.shape


LEAST_BLOCK = 16
"""Positions in a block at least: smaller matrices leave a processor's vectors empty."""


def block_positions(taps: int) -> int:
    """C of `block_convolution`: a multiple of 16, no smaller than the filter."""
    return max(LEAST_BLOCK, -(-taps // LEAST_BLOCK) * LEAST_BLOCK)


def block_convolution(u_BDL: Tensor, k_DK: Tensor) -> Tensor:
    """What `long_convolution` gives, for short filters and by no transform: blocks of C >= K positions, as products.

    A block's output needs this block and the one before: y_n = T_0 u_n + T_1 u_{n-1} with two Toeplitz matrices of the
    filter, C by C. Both products of a block are one. (torch's grouped conv1d takes 2 s for the gradient of 256 filters of
    7 taps on 4096 positions on a 2-core CPU; its gradient of the input alone takes 0.06 s.)

    Raises:
        OperatorError: Channels differ, or a filter is longer than the input.

    Source: Ku et al. 2025, "Systems and Algorithms for Convolutional Multi-Hybrid Language Models at Scale", section 3,
    arXiv:2503.01868, where it is called the two-stage blocked algorithm.
    """
    (width, taps), (batch, _, length) = _fitting(u_BDL, k_DK), u_BDL.shape
    block = block_positions(taps)
    compute = torch.promote_types(u_BDL.dtype, torch.float32)
    blocks = -(-length // block)
    padded_BDL = functional.pad(u_BDL.to(compute), (0, blocks * block - length))
    blocks_DXC = padded_BDL.view(batch, width, blocks, block).transpose(0, 1).reshape(width, batch * blocks, block)
    product_DBNC = (blocks_DXC @ _toeplitz(k_DK.to(compute), block)).view(width, batch, blocks, 2 * block)
    late_DBNC = functional.pad(product_DBNC[:, :, :-1, block:], (0, 0, 1, 0))
    y_DBNC = product_DBNC[..., :block] + late_DBNC
    return y_DBNC.transpose(0, 1).reshape(batch, width, -1)[..., :length].to(u_BDL.dtype)


def _toeplitz(k_DK: Tensor, block: int) -> Tensor:
    """Matrices [D, C, 2C]: row s holds the filter from column s on. Rows one shorter than what they repeat shift it."""
    width, taps = k_DK.shape
    row_DX = functional.pad(k_DK, (0, 2 * block + 1 - taps))
    rows_DX = row_DX[:, None].expand(width, block, 2 * block + 1).reshape(width, -1)
    return rows_DX[:, : 2 * block * block].view(width, block, 2 * block)


def short_convolution(z_BPL: Tensor, weight_PT: Tensor, bias_P: Tensor) -> Tensor:
    """Causal depthwise correlation with T taps: y[t] = bias + sum over j of weight[j] * z[t - (T - 1) + j].

    Source: the `short_filter` of Poli et al. 2023 is a grouped conv1d padded by T - 1 and cut to L.
    """
    channels, taps = weight_PT.shape
    padded_BPL = functional.conv1d(z_BPL, weight_PT[:, None], bias_P, padding=taps - 1, groups=channels)
    return padded_BPL[..., : z_BPL.shape[-1]]


def direct_long_convolution(u_BDL: Tensor, k_DK: Tensor) -> Tensor:
    """The definition of `long_convolution`, one lag after the other: O(L K) time and no FFT."""
    length = u_BDL.shape[-1]
    y_BDL = torch.zeros_like(u_BDL)
    for lag in range(k_DK.shape[1]):
        y_BDL[..., lag:] += k_DK[:, lag, None] * u_BDL[..., : length - lag]
    return y_BDL


def direct_short_convolution(z_BPL: Tensor, weight_PT: Tensor, bias_P: Tensor) -> Tensor:
    """The definition of `short_convolution`, one tap after the other."""
    length, taps = z_BPL.shape[-1], weight_PT.shape[-1]
    y_BPL = bias_P[:, None].expand(z_BPL.shape).clone()
    for tap in range(taps):
        lag = taps - 1 - tap
        y_BPL[..., lag:] += weight_PT[:, tap, None] * z_BPL[..., : max(0, length - lag)]
    return y_BPL
