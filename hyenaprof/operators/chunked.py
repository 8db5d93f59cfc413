"""A gated long-convolution core, one chunk of channels at a time, and its adjoint: small enough to stay in the cache.

Numerically what `gated_convolution.plain_core` computes, at a fraction of its memory traffic:

- The short filter is T shifted multiply-adds on a chunk; mkldnn's grouped convolution reorders the whole tensor first.
- Each skip is added to tap 0 of its filter, which makes it part of the convolution.
- A signal is written into the head of a padded buffer whose tail stays zero, transformed, multiplied in place,
  transformed back and gated, before the next chunk begins. Transforms have smooth lengths.
- The adjoint recomputes the spectra and is an inverse real transform; autograd runs a full complex one, of twice the work.

Inside a chunk all is float32 or wider; only what leaves it is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hyenaprof.operators.convolution import smooth_length
from hyenaprof.operators.gated_convolution import MixingWeights

CHUNK_BYTES_A_THREAD = 2**20
"""Padded channels that a thread works on at once on a CPU: with spectra and streams they stay in a core's cache."""
CHANNELS_ABREAST = 8
"""That a thread works on at least, however long: eight fill a vector, and torch makes the tables of a transform anew for
each call, which takes as long as two channels (65536 points, two threads: 33 GFLOP/s in fours, 41 in eights)."""
CHUNK_BYTES_ELSEWHERE = 64 * 2**20
"""On a GPU a chunk only bounds the memory of padding and spectra."""
PAGE_BYTES, LINE_BYTES = 4096, 64


@dataclass(frozen=True, slots=True)
class Cut:
    """How a core is cut into chunks.

    Attributes:
        length: L.
        points: Of a transform: smooth, even and at least L + K - 1 for filters of K taps.
        channels: At most so many in a chunk.
        compute: Dtype inside a chunk.
        device: Where.
    """

    length: int
    points: int
    channels: int
    compute: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, length: int, width: int, dtype: torch.dtype, device: torch.device, *, taps: int | None = None) -> Cut:
        """Cuts for a length, a width, a dtype and a device, and filters of `taps`, or of L where it is not given."""
        points = smooth_length(length + (taps or length) - 1)
        compute = torch.promote_types(dtype, torch.float32)
        least, room = 1, CHUNK_BYTES_ELSEWHERE
        if device.type == "cpu":
            least, room = (each * torch.get_num_threads() for each in (CHANNELS_ABREAST, CHUNK_BYTES_A_THREAD))
        channels = min(width, max(1, room // (points * compute.itemsize) // least) * least)
        return cls(length, points, channels, compute, device)

    def parts(self, channels: slice) -> Iterator[slice]:
        """Chunks of about equal size."""
        return parts_of(channels, self.channels)

    def empty(self, *sizes: int) -> Tensor:
        """A buffer in the computing dtype, its rows apart."""
        return rows_apart(*sizes, dtype=self.compute, device=self.device)

    def signal(self, spectrum_CF: Tensor) -> Tensor:
        """The first L values of the inverse transform, [C, L]."""
        padded_CN: Tensor = torch.fft.irfft(spectrum_CF, n=self.points)
        return padded_CN[..., : self.length]


def rows_apart(*sizes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """An uninitialised tensor whose rows are never whole pages apart: in a cache such rows would take each other's places."""
    length = sizes[-1]
    gap = 0 if length * dtype.itemsize % PAGE_BYTES else LINE_BYTES // dtype.itemsize
    return torch.empty(*sizes[:-1], length + gap, dtype=dtype, device=device)[..., :length]


def parts_of(channels: slice, most: int) -> Iterator[slice]:
    """Cuts channels into parts of about equal size, none above `most`."""
    start, width = channels.start, channels.stop - channels.start
    count = -(-width // most)
    for index in range(count):
        yield slice(start + index * width // count, start + (index + 1) * width // count)


class ChunkWeights(NamedTuple):
    """A chunk's share of the mixing weights for S = N + 1 streams, contiguous, in the computing dtype."""

    short_SCT: Tensor
    bias_SC: Tensor
    skip_OC: Tensor

    @classmethod
    def of(cls, weights: MixingWeights, part: slice, compute: torch.dtype) -> ChunkWeights:
        """Takes the part's channels from each stream."""
        orders, width = weights.skip_OD.shape
        shares = (
            weights.short_weight_PT.view(orders + 2, width, -1)[:, part],
            weights.short_bias_P.view(orders + 2, width)[:, part],
            weights.skip_OD[:, part],
        )
        return cls(*(share.to(compute).contiguous() for share in shares))

    def tap(self, lag: int) -> Tensor:
        """What multiplies a stream that came `lag` positions before, [S, C, 1]."""
        taps = self.short_SCT.shape[2]
        return self.short_SCT[..., taps - 1 - lag, None]

    def lags(self, length: int) -> range:
        """The lags above 0 that reach into a sequence."""
        return range(1, min(self.short_SCT.shape[2], length))


class Transforms:
    """The buffer that a chunk's signals are padded in, and the transforms of it; its tail stays zero.

    What a spectrum is laid out as is its own business.
    """

    def __init__(self, cut: Cut) -> None:
        self.cut = cut
        self._padded_CN = cut.empty(cut.channels, cut.points).zero_()

    def head(self, channels: int) -> Tensor:
        """Where a signal [C, L] is written to be padded."""
        return self._padded_CN[:channels, : self.cut.length]

    def spectrum(self, channels: int) -> Tensor:
        """The transform [C, F] of what was written."""
        spectrum_CF: Tensor = torch.fft.rfft(self._padded_CN[:channels])
        return spectrum_CF

    def convolved(self, filter_CF: Tensor, channels: int) -> Tensor:
        """What was written, convolved with the filter of this spectrum, [C, L]."""
        return self.signal(self.spectrum(channels).mul_(filter_CF), channels)

    def signal(self, spectrum: Tensor, channels: int) -> Tensor:  # noqa: ARG002 -- a complex spectrum has its rows
        """The first L values of the inverse transform, [C, L]; the spectrum may be written over."""
        return self.cut.signal(spectrum)

    def filters(self, taps_OCK: Tensor, skip_OC: Tensor) -> list[Tensor]:
        """The filters' spectra [C, F], skips added to tap 0."""
        channels = taps_OCK.shape[1]
        spectra = []
        for taps_CK, skip_C in zip(taps_OCK, skip_OC, strict=True):
            head_CL = self.head(channels)
            head_CL[:, : taps_CK.shape[1]] = taps_CK
            head_CL[:, taps_CK.shape[1] :] = 0
            head_CL[:, 0] += skip_C
            spectra.append(self.spectrum(channels))
        return spectra


class Workspace(Transforms):
    """Buffers that every chunk of a gated core uses again."""

    def __init__(self, cut: Cut, order: int) -> None:
        super().__init__(cut)
        self.order = order
        self._streams_SCL = cut.empty(order + 1, cut.channels, cut.length)
        self._dstreams_SCL: Tensor | None = None

    def gradients(self, channels: int) -> Tensor:
        """A buffer for the streams' gradients, [S, C, L]; there once a backward pass asks for it."""
        if self._dstreams_SCL is None:
            self._dstreams_SCL = torch.empty_like(self._streams_SCL)
        return self._dstreams_SCL[:, :channels]

    def streams(self, z_SCL: Tensor, weights: ChunkWeights) -> Tensor:
        """The gates and v: z through the short filter, [S, C, L]."""
        out_SCL = self._streams_SCL[:, : z_SCL.shape[1]]
        torch.addcmul(weights.bias_SC[..., None], z_SCL, weights.tap(0), out=out_SCL)
        for lag in weights.lags(self.cut.length):
            out_SCL[..., lag:].addcmul_(z_SCL[..., :-lag], weights.tap(lag))
        return out_SCL

    def adjoint(self, weights: ChunkWeights, filters: list[Tensor]) -> ChunkGradients:
        """What gathers a chunk's gradients."""
        return ChunkGradients(self, weights, filters)

    def mix(
        self, z_SCL: Tensor, filters: list[Tensor], weights: ChunkWeights, *, y_CL: Tensor, kept_OCL: Tensor | None
    ) -> None:
        """Runs one chunk of one sequence into y, and keeps what each convolution gave where that is wanted."""
        streams_SCL = self.streams(z_SCL, weights)
        channels, v_CL = streams_SCL.shape[1], streams_SCL[self.order]
        for o, filter_CF in enumerate(filters):
            torch.mul(v_CL, streams_SCL[self.order - 1 - o], out=self.head(channels))
            v_CL = self.convolved(filter_CF, channels)
            if kept_OCL is not None:
                kept_OCL[o] = v_CL
        torch.mul(v_CL, streams_SCL[0], out=y_CL)


class ChunkGradients:
    """One chunk's gradients, summed over the sequences of a batch.

    Args:
        space: Whose buffers are used.
        weights: The chunk's.
        filters: Spectra of its filters.
    """

    def __init__(self, space: Workspace, weights: ChunkWeights, filters: list[Tensor]) -> None:
        self.space, self.weights, self.filters = space, weights, filters
        self.dfilters = [torch.zeros_like(filter_CF) for filter_CF in filters]
        self.dshort_SCT = torch.zeros_like(weights.short_SCT)
        self.dbias_SC = torch.zeros_like(weights.bias_SC)

    def add(self, z_SCL: Tensor, kept_OCL: Tensor, dy_CL: Tensor, *, dz_SCL: Tensor, y_CL: Tensor | None) -> None:
        """Takes one sequence's share: adds to the sums, writes dz, and y again where that is wanted."""
        space, order, channels = self.space, self.space.order, len(dy_CL)
        streams_SCL = space.streams(z_SCL, self.weights)
        dstreams_SCL = space.gradients(channels)
        torch.mul(dy_CL, kept_OCL[-1], out=dstreams_SCL[0])
        if y_CL is not None:
            torch.mul(streams_SCL[0], kept_OCL[-1], out=y_CL)
        dv_CL, gate_CL = dy_CL, streams_SCL[0]
        for o in reversed(range(order - 1)):
            torch.mul(dv_CL, gate_CL, out=space.head(channels))
            dspectrum_CF = space.spectrum(channels)
            v_CL, gate_CL = kept_OCL[o - 1] if o else streams_SCL[order], streams_SCL[order - 1 - o]
            torch.mul(v_CL, gate_CL, out=space.head(channels))
            self.dfilters[o].addcmul_(dspectrum_CF, space.spectrum(channels).conj_physical_())
            dv_CL = space.cut.signal(dspectrum_CF.mul_(self.filters[o].conj()))
            torch.mul(dv_CL, v_CL, out=dstreams_SCL[order - 1 - o])
        torch.mul(dv_CL, gate_CL, out=dstreams_SCL[order])
        self._short_filter(z_SCL, dstreams_SCL, dz_SCL, scratch_SCL=streams_SCL)

    def _short_filter(self, z_SCL: Tensor, dstreams_SCL: Tensor, dz_SCL: Tensor, *, scratch_SCL: Tensor) -> None:
        """The short filter's adjoint: each tap the other way, and what each tap met."""
        weights, lags = self.weights, self.weights.lags(self.space.cut.length)
        direct = dz_SCL.dtype == scratch_SCL.dtype
        sums_SCL = dz_SCL if direct else scratch_SCL
        torch.mul(dstreams_SCL, weights.tap(0), out=sums_SCL)
        for lag in lags:
            sums_SCL[..., :-lag].addcmul_(dstreams_SCL[..., lag:], weights.tap(lag))
        if not direct:
            dz_SCL.copy_(sums_SCL)
        self.dbias_SC += dstreams_SCL.sum(-1)
        self.dshort_SCT[..., -1] += torch.mul(dstreams_SCL, z_SCL, out=scratch_SCL).sum(-1)
        for lag in lags:
            met_SCL = torch.mul(dstreams_SCL[..., lag:], z_SCL[..., :-lag], out=scratch_SCL[..., lag:])
            self.dshort_SCT[..., -1 - lag] += met_SCL.sum(-1)


class CoreGradients:
    """Gradients of taps and mixing weights, filled chunk by chunk."""

    def __init__(self, taps_ODL: Tensor, weights: MixingWeights) -> None:
        self.dtaps_ODL = torch.empty_like(taps_ODL, memory_format=torch.contiguous_format)
        self.dshort_PT, self.dbias_P, self.dskip_OD = (torch.empty_like(weight) for weight in weights)

    def put(self, part: slice, chunk: ChunkGradients) -> None:
        """Takes over one chunk's sums; the gradient of a skip is that of tap 0."""
        orders, width, taps = self.dtaps_ODL.shape
        for o, dfilter_CF in enumerate(chunk.dfilters):
            dtaps_CL = chunk.space.signal(dfilter_CF, part.stop - part.start)
            self.dtaps_ODL[o, part] = dtaps_CL[:, :taps]
            self.dskip_OD[o, part] = dtaps_CL[:, 0]
        self.dbias_P.view(orders + 2, width)[:, part] = chunk.dbias_SC
        self.dshort_PT.view(orders + 2, width, -1)[:, part] = chunk.dshort_SCT
