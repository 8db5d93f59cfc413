"""Filters that are sums of exponentials, k_t = sum over n of w_n exp(t g_n), as one matrix product a channel.

With t = i J + j and J near sqrt(L), exp(t g) = exp(i J g) exp(j g): the taps of a channel are a product of an [L/J, N] and
an [N, J] matrix. That takes 2 N sqrt(L) exponentials a channel and not N L, and never holds [N, L] numbers: at a million
positions, 768 channels and 32 complex modes those would be 206 GB. Exponentials are taken in float64, which costs little
where there are so few: a phase t g has no digits left in float32 far out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hyenaprof.operators.tap_maker import remade


def modal_taps(weight_CN: Tensor, rate_CN: Tensor, length: int) -> Tensor:
    """Taps [C, L]: the sum over n of w exp(t g), for t from 0 to L - 1, all real.

    Args:
        weight_CN: w.
        rate_CN: g, negative where a mode decays.
        length: L.
    """
    channel_bytes = _channel_bytes(length, rate_CN, parts=1)
    return remade(_Real(length), weight_CN, rate_CN, channel_bytes=channel_bytes)


def turning_modal_taps(weights: tuple[Tensor, Tensor], rates: tuple[Tensor, Tensor], length: int) -> Tensor:
    """Taps [C, L]: the sum over n of Re(w exp(t g)), in real arithmetic.

    Args:
        weights: Real and imaginary parts of w, each [C, N].
        rates: Real and imaginary parts of g, each [C, N].
        length: L.
    """
    channel_bytes = _channel_bytes(length, rates[0], parts=2)
    return remade(_Turning(length), *weights, *rates, channel_bytes=channel_bytes)


def modal_flops(channels: int, length: int, modes: int) -> tuple[float, float]:
    """(forward, backward) of `modal_taps`: 2 C L N for the product, twice that backward; of complex modes twice as much."""
    product = 2.0 * channels * length * modes
    return product, 2 * product


def _stride(length: int) -> int:
    return max(1, math.isqrt(length))


def _channel_bytes(length: int, rate_CN: Tensor, *, parts: int) -> float:
    """The taps, and what the exponentials of one channel take with what autograd keeps of them."""
    tables = 5 * parts * rate_CN.shape[1] * (_stride(length) + -(-length // _stride(length)))
    return 8.0 * tables + rate_CN.itemsize * 2.0 * length


def _places(length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Places i J [I, 1] and j [J], in float64."""
    stride = _stride(length)
    coarse_I = torch.arange(0, length, stride, device=device, dtype=torch.float64)
    return coarse_I[:, None], torch.arange(stride, device=device, dtype=torch.float64)


@dataclass(frozen=True, slots=True)
class _Real:
    length: int

    def __call__(self, weight_CN: Tensor, rate_CN: Tensor) -> Tensor:
        coarse_I1, fine_J = _places(self.length, rate_CN.device)
        coarse_CIN = weight_CN[:, None] * torch.exp(coarse_I1 * rate_CN[:, None].double())
        fine_CNJ = torch.exp(rate_CN[..., None].double() * fine_J)
        return _product(coarse_CIN, fine_CNJ, weight_CN.dtype, self.length)


@dataclass(frozen=True, slots=True)
class _Turning:
    length: int

    def __call__(self, real_CN: Tensor, imag_CN: Tensor, decay_CN: Tensor, angle_CN: Tensor) -> Tensor:
        coarse_I1, fine_J = _places(self.length, decay_CN.device)
        rate_CN, weight_C1N = (
            torch.complex(decay_CN, angle_CN).to(torch.complex128),
            torch.complex(real_CN, imag_CN)[:, None],
        )
        coarse_CIN = weight_C1N * torch.exp(coarse_I1 * rate_CN[:, None])
        fine_CNJ = torch.exp(rate_CN[..., None] * fine_J)
        coarse_CIX = torch.cat([coarse_CIN.real, -coarse_CIN.imag], dim=2)
        return _product(coarse_CIX, torch.cat([fine_CNJ.real, fine_CNJ.imag], dim=1), real_CN.dtype, self.length)


def _product(coarse_CIX: Tensor, fine_CXJ: Tensor, dtype: torch.dtype, length: int) -> Tensor:
    return (coarse_CIX.to(dtype) @ fine_CXJ.to(dtype)).flatten(1)[:, :length]
