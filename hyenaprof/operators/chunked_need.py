"""Peak memory of the chunked implementation, from how it cuts."""

from __future__ import annotations

from dataclasses import replace

import torch

from hyenaprof.model import Phase, Scope
from hyenaprof.operators.chunked import Cut
from hyenaprof.operators.chunked_layer import group_width
from hyenaprof.operators.long_convolution_cost import LayerSize
from hyenaprof.operators.native import LANES, lane_points
from hyenaprof.operators.projections import projection_parameters


def native_need_bytes(size: LayerSize, scope: Scope, phase: Phase) -> float:
    """The same of the native implementation, whose chunks hold whole vectors of channels and powers of two."""
    return chunked_need_bytes(size, scope, phase, native=True)


def chunked_need_bytes(size: LayerSize, scope: Scope, phase: Phase, *, native: bool = False) -> float:
    """Estimates the peak in bytes, inputs, weights and the gradient of the output included.

    Counted as `plain_need_bytes` is: full-length tensors, then the streams, taps and gradients of one group of channels,
    then the buffers of one chunk. For groups and chunks of a CPU; elsewhere they take up to 1 GiB more (not measured).
    """
    unit, learns = float(size.unit_bytes), phase.has_gradients
    if scope is Scope.LAYER:
        whole = _whole_layer(size, learns=learns, native=native)
    else:
        # y, and with gradients what each convolution gave and the gradients of streams and taps
        whole = 2 * size.order * unit + size.taps_bytes + unit if learns else unit
    return (
        size.static_bytes(scope)
        + (unit if learns else 0.0)
        + whole
        + _buffers(size, scope, learns=learns, native=native)
    )


def _whole_layer(size: LayerSize, *, learns: bool, native: bool) -> float:
    """Full-length tensors and one group's."""
    shape, order, unit = size.shape, size.order, float(size.unit_bytes)
    wide = max(4, size.itemsize_bytes)
    group = shape.length * _group(size)
    if size.filter_cached:
        spectra = (order - 1) * shape.width * (_cut(size, native=native).points + 2) * wide
        return unit + max(unit, float(group * (order + 1) * size.itemsize_bytes)) + spectra
    if not learns:
        streams = group * (order + 1) * size.itemsize_bytes + _group(size) * size.filter_taps * (order - 1) * wide
        return unit + max(unit, streams) + size.filter_hidden * wide
    # the output and dx, what each convolution gave and z; taps and their gradient; dy, y and dz of a group
    saved = (2 + 2 * order) * unit + 2 * size.taps_bytes + size.filter_saved * wide
    weights = projection_parameters(shape.width, order + 1) * size.itemsize_bytes
    return saved + weights + group * (order + 3) * size.itemsize_bytes


def _buffers(size: LayerSize, scope: Scope, *, learns: bool, native: bool) -> float:
    """Streams, padding and spectra of a chunk; for a batch, spectra of all the filters of a group stay."""
    shape, order, cut = size.shape, size.order, _cut(size, native=native)
    wide = cut.compute.itemsize
    transform = float(cut.channels * cut.points * wide)
    streams = (order + 1) * cut.channels * cut.length * wide
    chunks = -(-_group(size) // cut.channels) if scope is Scope.LAYER and shape.batch > 1 else 1
    if learns:
        return (3 + 2 * (order - 1) * chunks) * transform + 2 * streams
    return (3 + (order - 1) * chunks + (order > 2)) * transform + streams


def _cut(size: LayerSize, *, native: bool) -> Cut:
    dtype = torch.float64 if size.itemsize_bytes == 8 else torch.float32
    cut = Cut.of(size.shape.length, size.shape.width, dtype, torch.device("cpu"), taps=size.filter_taps)
    if not native:
        return cut
    channels = -(-cut.channels // LANES) * LANES  # its spectra hold as many numbers as two of these points a channel
    return replace(cut, points=2 * lane_points(cut.length), channels=channels)


def _group(size: LayerSize) -> int:
    wide = max(4, size.itemsize_bytes)
    most = group_width(size.shape.length, size.shape.width, size.order, itemsize_bytes=wide, device_type="cpu")
    return -(-size.shape.width // -(-size.shape.width // most))
