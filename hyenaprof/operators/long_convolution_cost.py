"""FLOPs and bytes of a gated long-convolution layer.

Counted: multiply and add as two, a real FFT of n points as 2.5 n log2 n, on L + K points for filters of K taps. Not
counted: additions of biases, which are one in 2D of a projection.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hyenaprof.model import Cost, Phase, Scope, Shape
from hyenaprof.operators.base import of_phase
from hyenaprof.operators.convolution import block_positions
from hyenaprof.operators.projections import projection_bytes, projection_flops, projection_parameters

BACKWARD_TRAFFIC = 2.5
"""Bytes of a fused backward pass over those of the forward: it reads what forward read and the gradient, and writes both."""


@dataclass(frozen=True, slots=True)
class LayerSize:
    """What the formulas need to know of a layer.

    Attributes:
        shape: B, L and D.
        order: N.
        short_taps: T.
        filter_flops: (forward, backward) FLOPs of making the filters.
        filter_cached: Whether filters and their spectra are there before the call.
        filter_parameters: Learned numbers in the filter.
        filter_saved: Numbers that autograd keeps from making the filters.
        filter_hidden: Numbers from which the taps of any channels are made.
        filter_taps: K, at most L.
        direct: Whether filters are applied tap by tap and not by transforms.
        itemsize_bytes: Bytes per activation.
    """

    shape: Shape
    order: int
    short_taps: int
    filter_flops: tuple[float, float]
    filter_cached: bool
    filter_parameters: int
    filter_saved: int
    filter_hidden: int
    filter_taps: int
    direct: bool
    itemsize_bytes: int

    @property
    def unit_bytes(self) -> int:
        """Bytes of one activation [B, L, D]."""
        return self.shape.batch * self.shape.length * self.shape.width * self.itemsize_bytes

    @property
    def taps_bytes(self) -> int:
        """Bytes of all filters; they stay float32 where activations have 16 bits."""
        return (self.order - 1) * self.filter_taps * self.shape.width * max(4, self.itemsize_bytes)

    @property
    def convolution_flops(self) -> tuple[float, float]:
        """(forward, backward) FLOPs of all long convolutions."""
        filters = (self.order - 1) * self.shape.width
        if self.direct:
            products = 2.0 * self.shape.batch * self.shape.length * self.filter_taps * filters
            return products, 2 * products
        points = self.shape.length + self.filter_taps
        return transformed_flops(self.shape.batch, filters, points, cached=self.filter_cached)

    @property
    def computing(self) -> float:
        """How much wider a number is in transforms and filters than in activations: 2 for 16 bits, else 1."""
        return max(4, self.itemsize_bytes) / self.itemsize_bytes

    @property
    def filter_bytes(self) -> int:
        """Bytes of the filter's parameters."""
        return self.filter_parameters * max(4, self.itemsize_bytes)

    def static_bytes(self, scope: Scope) -> int:
        """Bytes of all inputs and weights."""
        if scope is Scope.LAYER:
            return (
                self.unit_bytes + (self.parameters - self.filter_parameters) * self.itemsize_bytes + self.filter_bytes
            )
        mixing = (self.short_taps + 1) * (self.order + 1) + self.order - 1
        return (self.order + 1) * self.unit_bytes + self.taps_bytes + mixing * self.shape.width * self.itemsize_bytes

    @property
    def parameters(self) -> int:
        """(N+1)(D^2+D) + D^2+D projections, (T+1)(N+1)D short filter, (N-1)D skips, and the filter's."""
        width = self.shape.width
        short = (self.short_taps + 1) * (self.order + 1) * width
        return projection_parameters(width, self.order + 1) + short + (self.order - 1) * width + self.filter_parameters


def transformed_flops(batch: int, filters: int, points: int, *, cached: bool = False) -> tuple[float, float]:
    """(forward, backward) FLOPs of convolutions by real FFTs of so many points; `cached`: the filters' are there."""
    transforms = (2 * batch + (not cached)) * 2.5 * points * math.log2(points)
    product = 6.0 * batch * (points / 2 + 1)
    return filters * (transforms + product), filters * (transforms + 2 * product)


def algorithmic_cost(size: LayerSize, scope: Scope, phase: Phase, *, need_bytes: float) -> Cost:
    """Counts one call, whatever the implementation, but for `direct`.

    Forward: 2(N+2)BLD^2 projections, 2T(N+1)BLD short filter, the filter itself once for all B, NBLD gates,
    2(N-1)BLD skips, and (N-1)D[(2B+1) 2.5n log2(n) + 6B(n/2+1)] convolutions on n = L + K points, 2L for full-length
    filters: B inputs, B outputs and the filter transformed; or 2(N-1)BLDK without transforms. Backward: twice the products, and for each convolution the transforms of B gradients in, B out and of the
    filter's gradient, with two products of spectra.
    """
    shape, order = size.shape, size.order
    layer = scope is Scope.LAYER
    elements = float(shape.batch * shape.length * shape.width)
    projections = projection_flops(shape, order + 1) if layer else 0.0
    pointwise = (2 * size.short_taps * (order + 1) + order + 2 * (order - 1)) * elements
    convolved, unconvolved = size.convolution_flops
    made, unmade = size.filter_flops if layer and not size.filter_cached else (0.0, 0.0)
    moved = _forward_bytes(size, layer=layer)
    return Cost(
        flops=of_phase(
            phase,
            forward=projections + pointwise + convolved + made,
            backward=2 * (projections + pointwise) + unconvolved + unmade,
        ),
        bytes=of_phase(phase, forward=moved, backward=BACKWARD_TRAFFIC * moved),
        flops_paper=paper_flops(shape, order) if layer and phase is Phase.FORWARD else None,
        parameters=size.parameters if layer else 0,
        need_bytes=need_bytes,
        source="Poli et al. 2023, arXiv:2302.10866: definition 3.1 counted as in the authors' code, real FFTs of L + K points",
    )


def _forward_bytes(size: LayerSize, *, layer: bool) -> float:
    """Core: read N+1 streams and the taps, write one. Layer: projections beside it, and taps written before read."""
    core = (size.order + 2) * size.unit_bytes + size.taps_bytes
    if not layer:
        return float(core)
    around = projection_bytes(size.shape, size.order + 1, size.itemsize_bytes)
    return core + around + size.taps_bytes + size.filter_bytes


def paper_flops(shape: Shape, order: int) -> float:
    """The paper's own count of a forward pass, 2B [N D^2 L + 3N D L + 5(N-1) D L log2 L + D^2 L] (appendix A.2).

    It counts N input projections where there are N + 1, and leaves out the filter network, the transform of the filter
    and the padding.
    """
    length, width = shape.length, shape.width
    products = order * width**2 * length + 3 * order * width * length + width**2 * length
    return shape.batch * 2.0 * (products + 5 * (order - 1) * width * length * math.log2(length))


def plain_need_bytes(size: LayerSize, scope: Scope, phase: Phase) -> float:
    """Peak memory of the plain implementation, inputs, weights and the gradient of the output included.

    Counted in activations [B, L, D] in their own and in the computing dtype, and in filters [D, L], from the allocations
    of torch.profiler on a CPU (torch 2.13), which it meets within 2 % for orders 2 to 4, batches 1 to 8, widths 32 to
    768, float32, bfloat16 and float64. On CUDA the transforms' workspace comes on top (not measured).
    """
    order, unit = size.order, float(size.unit_bytes)
    filters = size.taps_bytes / (order - 1)
    if phase.has_gradients:
        peak = (3 * order + (4 * order + 3) * size.computing) * unit + (4 * order - 3) * filters
    else:
        peak = (order + 2 + 6 * size.computing) * unit + 2 * filters
    if scope is Scope.LAYER:
        projected = (order + 1) * unit + size.taps_bytes
        # The grouped conv1d of a transposed view makes three more copies of its input: in, padded, out.
        peak = max(peak + projected, projected + 3 * (order + 1) * unit)
        if phase.has_gradients:
            peak += size.filter_saved * max(4, size.itemsize_bytes) + size.shape.width**2 * size.itemsize_bytes
    cotangent = unit if phase.has_gradients else 0.0
    return size.static_bytes(scope) + cotangent + peak


def direct_need_bytes(size: LayerSize, scope: Scope, phase: Phase) -> float:
    """The same of the direct implementation: activations, and the Toeplitz matrices of all filters, with their gradients.

    Either while a convolution's products are there, or while they are added up. From the same allocations, for order 2,
    filters of 7, 64 and 128 taps, batches 1 and 4, float32.
    """
    block = block_positions(size.filter_taps)
    matrices = float((size.order - 1) * size.shape.width * block * (2 * block + 1) * max(4, size.itemsize_bytes))
    batched, streams = size.shape.batch > 1, size.order + 1

    def activations(own: int, computing: int) -> float:
        return (own + computing * size.computing) * size.unit_bytes

    if phase.has_gradients:
        made = activations(streams + 1, 5 + batched) + 2 * matrices
        done = activations(streams + 1 + (scope is Scope.LAYER), 8) + matrices
        peak = max(made, done) + size.unit_bytes
    else:
        peak = max(activations(streams, 4 + batched) + matrices, activations(streams, 6 + batched))
    if scope is Scope.LAYER:
        peak += activations(streams, 0) + size.taps_bytes
    return size.static_bytes(scope) + peak


def compiled_need_bytes(size: LayerSize, scope: Scope, phase: Phase) -> float:
    """The same of the plain implementation with compiled stages, which keep their inputs rather than their terms.

    Beyond `plain_need_bytes`: 5N - 7 activations with gradients, 4N - 8 without, from the same allocations; within 5 %
    below and 20 % above them for orders 2 and 3 and batches 1 and 4 in float32.
    """
    more = 5 * size.order - 7 if phase.has_gradients else 4 * (size.order - 2)
    return plain_need_bytes(size, scope, phase) + more * size.unit_bytes
