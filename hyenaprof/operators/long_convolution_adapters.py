"""Hyena's core with the long convolutions of libraries; projections, short filter and taps stay the plain ones.

The skip is folded into the filter: h * u + b u is the convolution of u with h, b added to its first tap.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from hyenaprof.errors import Unsupported
from hyenaprof.model import Shape
from hyenaprof.operators.convolution import block_convolution, short_convolution
from hyenaprof.operators.gated_convolution import Core, MixingWeights, plain_core, streams
from hyenaprof.operators.packages import function_of, refuse_all_but_cuda, refuse_what_it_refuses

Convolution = Callable[[Tensor, Tensor, Tensor], Tensor]
"""u [B, D, L], taps [D, L], skip [D] to h * u + b u."""

TRIED_CHANNELS = 16
"""FlashFFTConv works on groups of so many."""
LEAST_POINTS, MOST_POINTS, MOST_POINTS_OF_ANY_WIDTH = 256, 4194304, 32768


def core_of(implementation: str, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Core:
    """Gives the plain core for `fft`, that of short filters for `direct`, or one whose convolutions are a library's.

    Raises:
        Unsupported: No such implementation, its library is absent or broken, or it does not run this here.
    """
    if implementation == "fft":
        return plain_core
    if implementation == "direct":
        return with_convolution(lambda u_BDL, taps_DK, skip_D: block_convolution(u_BDL, with_skip(taps_DK, skip_D)))
    if implementation == "flashfftconv":
        return flashfftconv_core(shape, dtype=dtype, device=device)
    if implementation == "subq":
        refuse_all_but_cuda(implementation, device)
        return convolved_by(subquadratic_convolution(), shape, dtype=dtype, device=device)
    if implementation == "fla":
        return convolved_by(fla_convolution(), shape, dtype=dtype, device=device)
    raise Unsupported(f"no implementation {implementation!r}")


def convolved_by(convolution: Convolution, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Core:
    """The plain core with another long convolution, tried on some channels of zeros.

    Raises:
        Unsupported: The convolution refused.
    """
    u_BDL = torch.zeros(1, TRIED_CHANNELS, shape.length, dtype=dtype, device=device)
    taps_DL = u_BDL[0].to(torch.promote_types(dtype, torch.float32))
    refuse_what_it_refuses(lambda: convolution(u_BDL, taps_DL, u_BDL[0, :, 0]))
    return with_convolution(convolution)


def with_convolution(convolution: Convolution) -> Core:
    """The plain core with another long convolution."""

    def core(z_BPL: Tensor, taps_ODL: Tensor, weights: MixingWeights) -> Tensor:
        gates, v_BDL = _streams(z_BPL, taps_ODL, weights)
        for taps_DL, skip_D, gate_BDL in zip(taps_ODL, weights.skip_OD, reversed(gates[1:]), strict=True):
            v_BDL = convolution(v_BDL * gate_BDL, taps_DL, skip_D)
        return gates[0] * v_BDL

    return core


def subquadratic_convolution() -> Convolution:
    """NVIDIA's `fft_causal_conv1d`, in the taps' float32: a proprietary library, called where the user installed it.

    Raises:
        PackageRefused: It is absent or broken.
    """
    convolve = function_of("subquadratic_ops_torch.fft_causal_conv1d", "fft_causal_conv1d")

    def convolution(u_BDL: Tensor, taps_DL: Tensor, skip_D: Tensor) -> Tensor:
        y_BDL: Tensor = convolve(u_BDL.to(taps_DL.dtype).contiguous(), with_skip(taps_DL, skip_D))
        return y_BDL.to(u_BDL.dtype)

    return convolution


def fla_convolution() -> Convolution:
    """The `fft_conv` of flash-linear-attention, which transforms in the taps' dtype and adds u by itself.

    Raises:
        PackageRefused: It is absent or broken.
    """
    beside = function_of("fla.modules", "LongConvolution").__module__  # fla moves it from version to version
    convolve = function_of(beside, "fft_conv")

    def convolution(u_BDL: Tensor, taps_DL: Tensor, skip_D: Tensor) -> Tensor:
        y_BDL: Tensor = convolve(u_BDL, with_skip(taps_DL, skip_D.to(taps_DL.dtype) - 1), None, gelu=False)
        return y_BDL

    return convolution


def flashfftconv_core(shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Core:
    """The core by FlashFFTConv (Fu et al. 2023, arXiv:2311.05908), with the last convolution's gates fused into it.

    Lengths are padded to a multiple of four, and everything made contiguous, as the library asks.

    Raises:
        Unsupported: What the library's own text rules out: other dtypes than 16 bits, an FFT over 4194304 points, or
            one over 32768 with a width that 16 does not divide; or it is absent or broken.
    """
    refuse_all_but_cuda("flashfftconv", device)
    points = max(LEAST_POINTS, 1 << (2 * shape.length - 1).bit_length())
    _refuse_what_it_rules_out(points, shape.width, dtype)
    convolve = function_of("flashfftconv", "FlashFFTConv")(points, dtype=dtype).to(device)
    missing = -shape.length % 4

    def whole(u_BDL: Tensor) -> Tensor:
        return functional.pad(u_BDL, (0, missing)) if missing else u_BDL.contiguous()

    def core(z_BPL: Tensor, taps_ODL: Tensor, weights: MixingWeights) -> Tensor:
        gates, v_BDL = _streams(z_BPL, taps_ODL, weights)
        filters = [with_skip(taps_DL, skip_D) for taps_DL, skip_D in zip(taps_ODL, weights.skip_OD, strict=True)]
        *early, last = zip(filters, reversed(gates[1:]), strict=True)
        for taps_DL, gate_BDL in early:
            v_BDL = convolve(whole(v_BDL * gate_BDL), taps_DL)[..., : shape.length]
        y_BDL: Tensor = convolve(whole(v_BDL), last[0], whole(last[1]), whole(gates[0]))
        return y_BDL[..., : shape.length]

    u_BDL = torch.zeros(1, TRIED_CHANNELS, shape.length, dtype=dtype, device=device)
    refuse_what_it_refuses(lambda: convolve(whole(u_BDL), u_BDL[0].float(), whole(u_BDL), whole(u_BDL)))
    return core


def _refuse_what_it_rules_out(points: int, width: int, dtype: torch.dtype) -> None:
    if dtype not in {torch.float16, torch.bfloat16}:
        raise Unsupported(f"FlashFFTConv supports FP16 and BF16 only, not {dtype}")
    if points > MOST_POINTS:
        raise Unsupported(f"FlashFFTConv: an FFT size of {points} is over {MOST_POINTS}")
    if points > MOST_POINTS_OF_ANY_WIDTH and width % TRIED_CHANNELS:
        raise Unsupported(
            f"FlashFFTConv: for FFT sizes larger than {MOST_POINTS_OF_ANY_WIDTH} the width must be a multiple of "
            f"{TRIED_CHANNELS}, and {width} is not"
        )


def with_skip(taps_DL: Tensor, skip_D: Tensor) -> Tensor:
    """The taps with the skip added to the first."""
    return torch.cat([taps_DL[:, :1] + skip_D.to(taps_DL.dtype)[:, None], taps_DL[:, 1:]], dim=1)


def _streams(z_BPL: Tensor, taps_ODL: Tensor, weights: MixingWeights) -> tuple[list[Tensor], Tensor]:
    return streams(short_convolution(z_BPL, weights.short_weight_PT, weights.short_bias_P), taps_ODL.shape[1])
