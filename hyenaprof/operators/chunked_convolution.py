"""The causal convolution alone, some channels at a time, and its adjoint: the chunked core without its gates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from hyenaprof.operators.chunked import Cut, Transforms


def chunked_convolution(u_BDL: Tensor, taps_DK: Tensor, skip_D: Tensor) -> Tensor:
    """Convolves and adds the skip, h * u + b u, [B, D, L], contiguous and in u's dtype; once differentiable.

    Args:
        u_BDL: Input in any layout.
        taps_DK: Filters of K <= L taps.
        skip_D: Added to tap 0 of each.
    """
    if torch.is_grad_enabled():
        y_BDL: Tensor = _ChunkedConvolution.apply(u_BDL, taps_DK, skip_D)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return y_BDL
    return _convolved(u_BDL, taps_DK, skip_D)


def _cut(u_BDL: Tensor, taps_DK: Tensor) -> Cut:
    width, taps = taps_DK.shape
    return Cut.of(u_BDL.shape[-1], width, u_BDL.dtype, u_BDL.device, taps=taps)


def _filter(space: Transforms, taps_DK: Tensor, skip_D: Tensor, part: slice) -> Tensor:
    (filter_CF,) = space.filters(taps_DK[None, part], skip_D[None, part].to(space.cut.compute))
    return filter_CF


def _transformed(space: Transforms, signal_CL: Tensor) -> Tensor:
    space.head(len(signal_CL)).copy_(signal_CL)
    return space.spectrum(len(signal_CL))


def _convolved(u_BDL: Tensor, taps_DK: Tensor, skip_D: Tensor) -> Tensor:
    space = Transforms(_cut(u_BDL, taps_DK))
    y_BDL = torch.empty_like(u_BDL, memory_format=torch.contiguous_format)
    for part in space.cut.parts(slice(0, len(taps_DK))):
        filter_CF = _filter(space, taps_DK, skip_D, part)
        for u_DL, y_DL in zip(u_BDL, y_BDL, strict=True):
            y_DL[part] = space.cut.signal(_transformed(space, u_DL[part]).mul_(filter_CF))
    return y_BDL


class _ChunkedConvolution(Function):
    """Saves u and the filters; all spectra are computed again."""

    @staticmethod
    def forward(ctx: Any, u_BDL: Tensor, taps_DK: Tensor, skip_D: Tensor) -> Tensor:  # noqa: ANN401 -- autograd's context is untyped
        ctx.save_for_backward(u_BDL, taps_DK, skip_D)
        return _convolved(u_BDL, taps_DK, skip_D)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BDL: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401 -- likewise
        u_BDL, taps_DK, skip_D = ctx.saved_tensors
        space = Transforms(_cut(u_BDL, taps_DK))
        du_BDL = torch.empty_like(u_BDL)
        dtaps_DK, dskip_D = torch.empty_like(taps_DK, memory_format=torch.contiguous_format), torch.empty_like(skip_D)
        for part in space.cut.parts(slice(0, len(taps_DK))):
            back_CF = _filter(space, taps_DK, skip_D, part).conj()
            dfilter_CF = torch.zeros_like(back_CF)
            for u_DL, dy_DL, du_DL in zip(u_BDL, dy_BDL, du_BDL, strict=True):
                spectrum_CF = _transformed(space, u_DL[part]).conj_physical_()
                dspectrum_CF = _transformed(space, dy_DL[part])
                dfilter_CF.addcmul_(dspectrum_CF, spectrum_CF)
                du_DL[part] = space.cut.signal(dspectrum_CF.mul_(back_CF))
            dtaps_CL = space.cut.signal(dfilter_CF)
            dtaps_DK[part], dskip_D[part] = dtaps_CL[:, : taps_DK.shape[1]], dtaps_CL[:, 0]
        return du_BDL, dtaps_DK, dskip_D
