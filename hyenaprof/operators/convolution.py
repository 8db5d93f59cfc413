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


def long_convolution(u_BDL: Tensor, k_DL: Tensor) -> Tensor:
    """Causal convolution of each channel with its own full-length filter.

    y[b, d, t] = sum over s <= t of k[d, s] * u[b, d, t - s], by an FFT of length >= 2L - 1 so that nothing wraps round.

    Args:
        u_BDL: Input, any floating dtype.
        k_DL: Filters with exactly L taps, any floating dtype.

    Returns:
        y_BDL in u's dtype. The transform runs in float32 (float64 for float64): half-precision FFTs lose digits as L
        grows, and their spectra overflow.

    Raises:
        OperatorError: Channels or lengths differ.

    Source: Poli et al. 2023, "Hyena Hierarchy", section 3, arXiv:2302.10866.
    """
    if u_BDL.shape[1:] != k_DL.shape:
        raise OperatorError(f"{tuple(k_DL.shape)} filters do not fit an input of {tuple(u_BDL.shape)}")
    length = u_BDL.shape[-1]
    points = smooth_length(2 * length - 1)
    compute = torch.float64 if u_BDL.dtype == torch.float64 else torch.float32
    u_spectrum_BDF = torch.fft.rfft(u_BDL.to(compute), n=points)
    k_spectrum_DF = torch.fft.rfft(k_DL.to(compute), n=points)
    y_BDL: Tensor = torch.fft.irfft(u_spectrum_BDF * k_spectrum_DF, n=points)[..., :length]
    return y_BDL.to(u_BDL.dtype)


def short_convolution(z_BPL: Tensor, weight_PT: Tensor, bias_P: Tensor) -> Tensor:
    """Causal depthwise correlation with T taps: y[t] = bias + sum over j of weight[j] * z[t - (T - 1) + j].

    Source: the `short_filter` of Poli et al. 2023 is a grouped conv1d padded by T - 1 and cut to L.
    """
    channels, taps = weight_PT.shape
    padded_BPL = functional.conv1d(z_BPL, weight_PT[:, None], bias_P, padding=taps - 1, groups=channels)
    return padded_BPL[..., : z_BPL.shape[-1]]


def direct_long_convolution(u_BDL: Tensor, k_DL: Tensor) -> Tensor:
    """The definition of `long_convolution`, one lag after the other: O(L^2) time and no FFT."""
    length = u_BDL.shape[-1]
    y_BDL = torch.zeros_like(u_BDL)
    for lag in range(length):
        y_BDL[..., lag:] += k_DL[:, lag, None] * u_BDL[..., : length - lag]
    return y_BDL


def direct_short_convolution(z_BPL: Tensor, weight_PT: Tensor, bias_P: Tensor) -> Tensor:
    """The definition of `short_convolution`, one tap after the other."""
    length, taps = z_BPL.shape[-1], weight_PT.shape[-1]
    y_BPL = bias_P[:, None].expand(z_BPL.shape).clone()
    for tap in range(taps):
        lag = taps - 1 - tap
        y_BPL[..., lag:] += weight_PT[:, tap, None] * z_BPL[..., : max(0, length - lag)]
    return y_BPL
