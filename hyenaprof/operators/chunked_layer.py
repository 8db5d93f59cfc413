"""The whole gated layer in groups of channels, projections included: no stream ever exists at full width and length.

A matrix product does not mind which of its factors is transposed, so a group's streams lie channels first at once, W x^T,
and the output is y^T W^T: no transposed copy is made. A group is a few chunks: wide enough for the products to run at full
speed, narrow enough to stay in a shared cache between projection and core.

Forward without gradients holds x, y, the output, and filters and streams of one group. With gradients it keeps the streams
before the short filter, and what each convolution gave.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from hyenaprof.operators.chunked import (
    ChunkGradients,
    ChunkWeights,
    CoreGradients,
    Cut,
    Workspace,
    parts_of,
    rows_apart,
)
from hyenaprof.operators.gated_convolution import MixingWeights
from hyenaprof.operators.projections import LayerTensors

GROUP_BYTES = {"cpu": 16 * 2**20}
"""Bytes of a group's streams for one sequence: half of a shared cache."""
GROUP_BYTES_ELSEWHERE = 2**29
LEAST_GROUP = 192
"""Channels, where there are as many: a product of fewer rows runs below the full rate, as all of x is read for each group
(length 32768, two threads: at width 256 137 GFLOP/s in groups of 64 and 164 in groups of 128; at 768 145, 169, 182 of 192).
"""

TapsOf = Callable[[slice], Tensor]
"""Gives the taps [O, C, L] of some channels."""
Spectra = dict[int, list[Tensor]]
"""Spectra of each filter of a chunk, by the chunk's first channel."""


def chunked_layer(
    given: LayerTensors, weights: MixingWeights, taps_ODL: Tensor, *, workspace: type[Workspace] = Workspace
) -> Tensor:
    """The layer, x [B, L, D] to [B, L, D]; once differentiable.

    Args:
        given: x and the projections.
        weights: Short filter and skips.
        taps_ODL: The filters.
        workspace: What does the stages between the transforms.
    """
    out_BLD: Tensor = _ChunkedLayer.apply(workspace, *given, *weights, taps_ODL)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return out_BLD


def chunked_layer_forward(
    given: LayerTensors,
    weights: MixingWeights,
    taps_of: TapsOf,
    *,
    workspace: type[Workspace] = Workspace,
    taps: int | None = None,
) -> Tensor:
    """The layer without a record for gradients; filters of `taps` are made for one group after the other."""
    return _Pass(given, weights, workspace, taps).forward(taps_of, None)


def filter_spectra(
    given: LayerTensors,
    weights: MixingWeights,
    taps_of: TapsOf,
    *,
    workspace: type[Workspace] = Workspace,
    taps: int | None = None,
) -> Spectra:
    """The spectra of all filters, skips added: what a layer may keep that does not learn."""
    layer = _Pass(given, weights, workspace, taps)
    return {
        part.start: layer.filters(part, group, taps_OGL)
        for group in layer.groups()
        for taps_OGL in (taps_of(group),)
        for part in layer.cut.parts(group)
    }


def chunked_layer_kept(
    given: LayerTensors,
    weights: MixingWeights,
    spectra: Spectra,
    *,
    workspace: type[Workspace] = Workspace,
    taps: int | None = None,
) -> Tensor:
    """The layer without a record for gradients, by the spectra that `filter_spectra` gave."""
    return _Pass(given, weights, workspace, taps).forward(None, None, spectra)


def group_width(length: int, width: int, order: int, *, itemsize_bytes: int, device_type: str) -> int:
    """Channels in a group, at most."""
    room = GROUP_BYTES.get(device_type, GROUP_BYTES_ELSEWHERE)
    return min(width, max(LEAST_GROUP, room // ((order + 1) * length * itemsize_bytes)))


@dataclass(slots=True)
class _Saved:
    """What backward needs beyond the inputs.

    Attributes:
        kept_OBDL: What each convolution gave.
        streams: z before the short filter, [S, G, L], group by group and in each sequence by sequence.
    """

    kept_OBDL: Tensor
    streams: list[Tensor] = field(default_factory=list)


class _Reused:
    """Rows [L] that are made once and used again: memory that has just been written is faster than any new one.

    Args:
        x_BLD: Whose length, dtype and device they have.
    """

    def __init__(self, x_BLD: Tensor) -> None:
        self._x_BLD = x_BLD
        self._rows_RL: Tensor | None = None

    def take(self, *sizes: int) -> Tensor:
        """Rows of any content, [*sizes, L]; what was taken before is written over."""
        count = math.prod(sizes)
        if self._rows_RL is None or len(self._rows_RL) < count:
            self.drop()
            self._rows_RL = _rows_like(self._x_BLD, count)
        return self._rows_RL[:count].view(*sizes, -1)

    def drop(self) -> None:
        """Leaves what was taken to its holders."""
        self._rows_RL = None


class _ChunkedLayer(Function):
    @staticmethod
    def forward(ctx: Any, workspace: type[Workspace], *tensors: Tensor) -> Tensor:  # noqa: ANN401 -- autograd's context is untyped
        ctx.workspace = workspace
        given, weights, taps_ODL = LayerTensors(*tensors[:5]), MixingWeights(*tensors[5:8]), tensors[8]
        batch, _, width = given.x_BLD.shape
        saved = _Saved(_rows_like(given.x_BLD, len(taps_ODL), batch, width))
        out_BLD = _Pass(given, weights, workspace, taps_ODL.shape[-1]).forward(lambda group: taps_ODL[:, group], saved)
        ctx.save_for_backward(*tensors, saved.kept_OBDL, *saved.streams)
        return out_BLD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout_BLD: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 -- likewise
        tensors = ctx.saved_tensors
        given, weights, taps_ODL = LayerTensors(*tensors[:5]), MixingWeights(*tensors[5:8]), tensors[8]
        forward = _Pass(given, weights, ctx.workspace, taps_ODL.shape[-1])
        return None, *_Adjoint(forward, taps_ODL).run(_Saved(tensors[9], list(tensors[10:])), dout_BLD)


class _Pass:
    """One call of the layer: its inputs, how it is cut, and its buffers."""

    def __init__(
        self, given: LayerTensors, weights: MixingWeights, workspace: type[Workspace], taps: int | None
    ) -> None:
        x_BLD = given.x_BLD
        self.given, self.weights = given, weights
        self.batch, self.length, self.width = x_BLD.shape
        self.order = len(weights.skip_OD) + 1
        self.cut = Cut.of(self.length, self.width, x_BLD.dtype, x_BLD.device, taps=taps)
        self.space = workspace(self.cut, self.order)
        self.streams = _Reused(x_BLD)

    def groups(self) -> Iterator[slice]:
        """The groups; the same in forward and in backward."""
        item, device = self.cut.compute.itemsize, self.cut.device.type
        most = group_width(self.length, self.width, self.order, itemsize_bytes=item, device_type=device)
        return parts_of(slice(0, self.width), most)

    def rows(self, weight_PX: Tensor, group: slice) -> Tensor:
        """The group's rows of the input projection, stream by stream, [S G, ...]."""
        return weight_PX.view(self.order + 1, self.width, *weight_PX.shape[1:])[:, group].flatten(0, 1)

    def chunk_weights(self, part: slice) -> ChunkWeights:
        """A chunk's share of the mixing weights."""
        return ChunkWeights.of(self.weights, part, self.cut.compute)

    def filters(self, part: slice, group: slice, taps_OGL: Tensor) -> list[Tensor]:
        """Spectra of a chunk's filters, of its group's taps."""
        return self.space.filters(taps_OGL[:, _within(part, group)], self.chunk_weights(part).skip_OC)

    def forward(self, taps_of: TapsOf | None, saved: _Saved | None, spectra: Spectra | None = None) -> Tensor:
        """Runs group by group, then projects; spectra that are given take the place of taps."""
        y_BDL = _rows_like(self.given.x_BLD, self.batch, self.width)
        for group in self.groups():
            self._group(group, taps_of(group) if taps_of else None, y_BDL, saved, spectra)
        self.streams.drop()
        out_BLD = self.given.x_BLD.new_empty(self.batch, self.length, self.width)
        for y_DL, out_LD in zip(y_BDL, out_BLD, strict=True):
            torch.addmm(self.given.out_bias_D, y_DL.T, self.given.out_weight_DD.T, out=out_LD)
        return out_BLD

    def _group(
        self, group: slice, taps_OGL: Tensor | None, y_BDL: Tensor, saved: _Saved | None, spectra: Spectra | None
    ) -> None:
        rows_RD, bias_R1 = self.rows(self.given.in_weight_PD, group), self.rows(self.given.in_bias_P, group)[:, None]
        filters: Spectra = {} if spectra is None else spectra
        for b, x_LD in enumerate(self.given.x_BLD):
            z_SGL = self.streams.take(self.order + 1, group.stop - group.start)
            torch.addmm(bias_R1, rows_RD, x_LD.T, out=z_SGL.flatten(0, 1))
            if saved is not None:
                saved.streams.append(z_SGL)
                self.streams.drop()
            for part in self.cut.parts(group):
                inner, mine = _within(part, group), self.chunk_weights(part)
                if b == 0 and taps_OGL is not None:
                    filters[part.start] = self.filters(part, group, taps_OGL)
                kept_OCL = None if saved is None else saved.kept_OBDL[:, b, part]
                self.space.mix(z_SGL[:, inner], filters[part.start], mine, y_CL=y_BDL[b, part], kept_OCL=kept_OCL)
                if b == self.batch - 1 and spectra is None:
                    del filters[part.start]


class _Adjoint:
    """The layer's backward pass: its gradients, filled group by group."""

    def __init__(self, forward: _Pass, taps_ODL: Tensor) -> None:
        self.forward, self.taps_ODL = forward, taps_ODL
        self.inside = CoreGradients(taps_ODL, forward.weights)
        self.dy, self.y, self.dz = (_Reused(forward.given.x_BLD) for _ in range(3))
        self.outside = LayerTensors(*(torch.empty_like(tensor) for tensor in forward.given))
        for total in (self.outside.in_weight_PD, self.outside.in_bias_P, self.outside.out_weight_DD):
            total.zero_()

    def run(self, saved: _Saved, dout_BLD: Tensor) -> tuple[Tensor, ...]:
        """Gives the gradients of everything that `_ChunkedLayer` takes."""
        batch = self.forward.batch
        for index, group in enumerate(self.forward.groups()):
            self._group(group, saved.streams[index * batch : (index + 1) * batch], saved.kept_OBDL, dout_BLD)
        torch.sum(dout_BLD, (0, 1), out=self.outside.out_bias_D)
        inside = self.inside
        return (*self.outside, inside.dshort_PT, inside.dbias_P, inside.dskip_OD, inside.dtaps_ODL)

    def _group(self, group: slice, streams: list[Tensor], kept_OBDL: Tensor, dout_BLD: Tensor) -> None:
        forward, chunks = self.forward, dict[int, ChunkGradients]()
        width = group.stop - group.start
        dy_GL, y_GL, dz_SGL = self.dy.take(width), self.y.take(width), self.dz.take(forward.order + 1, width)
        for b, (z_SGL, dout_LD) in enumerate(zip(streams, dout_BLD, strict=True)):
            torch.mm(forward.given.out_weight_DD[:, group].T, dout_LD.T, out=dy_GL)
            for part in forward.cut.parts(group):
                inner = _within(part, group)
                if b == 0:
                    chunks[part.start] = self._chunk(part)
                chunks[part.start].add(
                    z_SGL[:, inner], kept_OBDL[:, b, part], dy_GL[inner], dz_SCL=dz_SGL[:, inner], y_CL=y_GL[inner]
                )
                if b == forward.batch - 1:
                    self.inside.put(part, chunks.pop(part.start))
            self._project(b, group, dz_SGL, y_GL, dout_LD)

    def _chunk(self, part: slice) -> ChunkGradients:
        space, mine = self.forward.space, self.forward.chunk_weights(part)
        return space.adjoint(mine, space.filters(self.taps_ODL[:, part], mine.skip_OC))

    def _project(self, b: int, group: slice, dz_SGL: Tensor, y_GL: Tensor, dout_LD: Tensor) -> None:
        """Takes a group of one sequence through both projections; x's gradient sums over groups, weights' over both."""
        forward, streams, outside = self.forward, self.forward.order + 1, self.outside
        dz_RL, rows_RD = dz_SGL.flatten(0, 1), forward.rows(forward.given.in_weight_PD, group)
        dweight_RD = dz_RL @ forward.given.x_BLD[b]
        outside.x_BLD[b].addmm_(dz_RL.T, rows_RD, beta=float(group.start > 0))
        outside.in_weight_PD.view(streams, forward.width, -1)[:, group] += dweight_RD.view(streams, -1, forward.width)
        outside.in_bias_P.view(streams, forward.width)[:, group] += dz_SGL.sum(-1)
        outside.out_weight_DD[:, group] += dout_LD.T @ y_GL.T


def _rows_like(x_BLD: Tensor, *sizes: int) -> Tensor:
    return rows_apart(*sizes, x_BLD.shape[1], dtype=x_BLD.dtype, device=x_BLD.device)


def _within(part: slice, group: slice) -> slice:
    return slice(part.start - group.start, part.stop - group.start)
