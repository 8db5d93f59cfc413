"""The chunked core as one differentiable function of tensors that are all there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from hyenaprof.operators.chunked import ChunkWeights, CoreGradients, Cut, Workspace
from hyenaprof.operators.gated_convolution import MixingWeights


def chunked_core(
    z_BPL: Tensor, taps_ODL: Tensor, weights: MixingWeights, *, workspace: type[Workspace] = Workspace
) -> Tensor:
    """The core, [B, P, L] to [B, D, L]; once differentiable.

    Args:
        z_BPL: What the input projection gives.
        taps_ODL: The filters.
        weights: Short filter and skips.
        workspace: What does the stages between the transforms.
    """
    if torch.is_grad_enabled():
        y_BDL: Tensor = _ChunkedCore.apply(workspace, z_BPL, taps_ODL, *weights)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return y_BDL
    return _forward(workspace, z_BPL, taps_ODL, weights, kept_OBDL=None)


def _streams_of(z_BPL: Tensor, taps_ODK: Tensor) -> Tensor:
    return z_BPL.view(len(z_BPL), len(taps_ODK) + 2, taps_ODK.shape[1], z_BPL.shape[-1])


def _cut(z_BPL: Tensor, taps_ODK: Tensor) -> Cut:
    _, width, taps = taps_ODK.shape
    return Cut.of(z_BPL.shape[-1], width, z_BPL.dtype, z_BPL.device, taps=taps)


def _forward(
    workspace: type[Workspace],
    z_BPL: Tensor,
    taps_ODL: Tensor,
    weights: MixingWeights,
    *,
    kept_OBDL: Tensor | None,
) -> Tensor:
    z_BSDL = _streams_of(z_BPL, taps_ODL)
    y_BDL = torch.empty_like(z_BSDL[:, 0], memory_format=torch.contiguous_format)
    cut = _cut(z_BPL, taps_ODL)
    space = workspace(cut, len(taps_ODL) + 1)
    for part in cut.parts(slice(0, taps_ODL.shape[1])):
        mine = ChunkWeights.of(weights, part, cut.compute)
        filters = space.filters(taps_ODL[:, part], mine.skip_OC)
        for b in range(len(z_BPL)):
            kept_OCL = None if kept_OBDL is None else kept_OBDL[:, b, part]
            space.mix(z_BSDL[b, :, part], filters, mine, y_CL=y_BDL[b, part], kept_OCL=kept_OCL)
    return y_BDL


class _ChunkedCore(Function):
    """Saves z, the taps and what each convolution gave; the short filter and all spectra are computed again."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 -- autograd's context is untyped
        workspace: type[Workspace],
        z_BPL: Tensor,
        taps_ODL: Tensor,
        *weights: Tensor,
    ) -> Tensor:
        ctx.workspace = workspace
        kept_OBDL = z_BPL.new_empty(len(taps_ODL), len(z_BPL), taps_ODL.shape[1], z_BPL.shape[-1])
        ctx.save_for_backward(z_BPL, taps_ODL, kept_OBDL, *weights)
        return _forward(workspace, z_BPL, taps_ODL, MixingWeights(*weights), kept_OBDL=kept_OBDL)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BDL: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 -- likewise
        z_BPL, taps_ODL, kept_OBDL, *weights = ctx.saved_tensors
        mixing = MixingWeights(*weights)
        z_BSDL, dz_BPL = _streams_of(z_BPL, taps_ODL), torch.empty_like(z_BPL)
        dz_BSDL = _streams_of(dz_BPL, taps_ODL)
        gradients = CoreGradients(taps_ODL, mixing)
        cut = _cut(z_BPL, taps_ODL)
        space: Workspace = ctx.workspace(cut, len(taps_ODL) + 1)
        for part in cut.parts(slice(0, taps_ODL.shape[1])):
            mine = ChunkWeights.of(mixing, part, cut.compute)
            chunk = space.adjoint(mine, space.filters(taps_ODL[:, part], mine.skip_OC))
            for b in range(len(z_BPL)):
                z_SCL, kept_OCL, dz_SCL = z_BSDL[b, :, part], kept_OBDL[:, b, part], dz_BSDL[b, :, part]
                chunk.add(z_SCL, kept_OCL, dy_BDL[b, part], dz_SCL=dz_SCL, y_CL=None)
            gradients.put(part, chunk)
        return None, dz_BPL, gradients.dtaps_ODL, gradients.dshort_PT, gradients.dbias_P, gradients.dskip_OD
