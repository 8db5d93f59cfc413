"""The last layer of a filter network and its window, channels first and some channels at a time.

W h^T has a filter's taps side by side, ready for a transform; h W^T would have to be transposed. The exponential window is
the outer product of a coarse and a fine one: 2 sqrt(L) exponentials a channel instead of L, and no [C, L] tensor to keep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

AT_ONCE_BYTES = 4 * 2**20
"""Bytes of taps made at once."""


@dataclass(frozen=True, slots=True)
class Window:
    """exp(-rate * t / (L - 1)) for each channel, as a product: t = i * stride + j.

    Attributes:
        coarse_CI: At each multiple of the stride.
        fine_CJ: At each step below the stride.
    """

    coarse_CI: Tensor
    fine_CJ: Tensor

    @classmethod
    def of(cls, rates_C: Tensor, length: int, dtype: torch.dtype, device: torch.device) -> Window:
        """Tabulates the window for L positions from 0 to 1."""
        stride = max(1, math.isqrt(length))
        step = 1 / max(1, length - 1)
        fine_J = torch.arange(stride, dtype=torch.float64) * step
        coarse_I = torch.arange(-(-length // stride), dtype=torch.float64) * stride * step
        return cls(*(torch.exp(-rates_C.double()[:, None] * places).to(device, dtype) for places in (coarse_I, fine_J)))

    def apply_(self, taps_CL: Tensor, channels: slice) -> Tensor:
        """Multiplies the taps of these channels, in place."""
        coarse_CI, fine_CJ = self.coarse_CI[channels], self.fine_CJ[channels]
        stride = fine_CJ.shape[1]
        whole = taps_CL.shape[1] // stride
        body_CIJ = taps_CL[:, : whole * stride].view(len(taps_CL), whole, stride)
        body_CIJ.mul_(coarse_CI[:, :whole, None]).mul_(fine_CJ[:, None])
        rest_CJ = taps_CL[:, whole * stride :]
        if rest_CJ.shape[1]:
            rest_CJ.mul_(coarse_CI[:, -1:]).mul_(fine_CJ[:, : rest_CJ.shape[1]])
        return taps_CL


def windowed_taps(hidden_LW: Tensor, weight_CW: Tensor, window: Window | None, channels: slice) -> Tensor:
    """Taps [C', L] of some channels, without a record for gradients."""
    taps_CL = weight_CW[channels] @ hidden_LW.T
    return taps_CL if window is None else window.apply_(taps_CL, channels)


def all_windowed_taps(hidden_LW: Tensor, weight_CW: Tensor, window: Window | None) -> Tensor:
    """Taps [C, L] of all channels; once differentiable."""
    taps_CL: Tensor = _WindowedTaps.apply(hidden_LW, weight_CW, window)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return taps_CL


class _WindowedTaps(Function):
    """Keeps nothing beyond its inputs: the window is multiplied into the gradient as it was into the taps."""

    @staticmethod
    def forward(ctx: Any, hidden_LW: Tensor, weight_CW: Tensor, window: Window | None) -> Tensor:  # noqa: ANN401 -- autograd's context is untyped
        ctx.save_for_backward(hidden_LW, weight_CW)
        ctx.window = window
        taps_CL = hidden_LW.new_empty(len(weight_CW), len(hidden_LW))
        for part in _parts(taps_CL):
            torch.mm(weight_CW[part], hidden_LW.T, out=taps_CL[part])
            if window is not None:
                window.apply_(taps_CL[part], part)
        return taps_CL

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dtaps_CL: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401 -- likewise
        hidden_LW, weight_CW = ctx.saved_tensors
        dhidden_LW, dweight_CW = torch.zeros_like(hidden_LW), torch.empty_like(weight_CW)
        for part in _parts(dtaps_CL):
            mine_CL = dtaps_CL[part]
            if ctx.window is not None:
                mine_CL = ctx.window.apply_(mine_CL.clone(), part)
            torch.mm(mine_CL, hidden_LW, out=dweight_CW[part])
            dhidden_LW.addmm_(mine_CL.T, weight_CW[part])
        return dhidden_LW, dweight_CW, None


def _parts(taps_CL: Tensor) -> list[slice]:
    rows = max(1, AT_ONCE_BYTES // (taps_CL.shape[1] * taps_CL.itemsize))
    return [slice(start, min(start + rows, len(taps_CL))) for start in range(0, len(taps_CL), rows)]
