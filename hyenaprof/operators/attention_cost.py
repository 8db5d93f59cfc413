"""FLOPs and bytes of causal attention, standard and flash."""

from __future__ import annotations

import torch

from hyenaprof.model import Cost, Phase, Scope, Shape
from hyenaprof.operators.base import of_phase
from hyenaprof.operators.projections import projection_bytes, projection_flops, projection_parameters

PARTS = 3
TILES_BYTES = 2**20
"""Working memory of a flash kernel on a CPU, each thread's, whatever the length."""


def flash_cost(shape: Shape, scope: Scope, phase: Phase, *, itemsize_bytes: int) -> Cost:
    """Counts flash attention: half of the full matrix, since the kernel skips what the causal mask hides.

    Forward 2BL^2D (two products, halved), backward 5BL^2D (five, halved). Least bytes: read q, k, v, write y and the
    log-sum-exp; backward reads q, k, v, y, dy and writes dq, dk, dv.
    """
    unit, square = _unit(shape, itemsize_bytes), _square(shape)
    sums = 4.0 * shape.batch * shape.heads * shape.length
    core_flops = of_phase(phase, forward=2 * square, backward=5 * square)
    return _with_projections(
        shape,
        scope,
        phase,
        itemsize_bytes=itemsize_bytes,
        core_flops=core_flops,
        core_bytes=of_phase(phase, forward=4 * unit + sums, backward=8 * unit + sums),
        # The paper's own figure: 4 L^2 K H, halved for causal masks, and 2.5 times that for backward.
        flops_paper=core_flops if scope is Scope.CORE else None,
        peak=_flash_peak(shape, scope, phase, unit),
        source="Dao 2023, arXiv:2307.08691, section 4.1",
    )


def standard_cost(shape: Shape, scope: Scope, phase: Phase, *, itemsize_bytes: int) -> Cost:
    """Counts standard attention: the full matrix, since its kernels compute what the mask hides too.

    Forward 4BL^2D in two products and 5BHL^2 in the softmax; backward 8BL^2D in four products, and as much softmax.
    Bytes: scores written and read, weights written and read; backward reads the weights twice, writes and reads their
    gradient, writes the scores' gradient and reads it twice.
    """
    unit, square = _unit(shape, itemsize_bytes), _square(shape)
    scores = float(shape.batch * shape.heads) * shape.length**2
    return _with_projections(
        shape,
        scope,
        phase,
        itemsize_bytes=itemsize_bytes,
        core_flops=of_phase(phase, forward=4 * square + 5 * scores, backward=8 * square + 5 * scores),
        core_bytes=of_phase(
            phase,
            forward=4 * unit + 4 * scores * itemsize_bytes,
            backward=8 * unit + 7 * scores * itemsize_bytes,
        ),
        flops_paper=None,
        peak=_standard_peak(shape, scope, phase, unit),
        source="Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1",
    )


def _unit(shape: Shape, itemsize_bytes: int) -> float:
    return float(shape.batch * shape.length * shape.width * itemsize_bytes)


def _square(shape: Shape) -> float:
    return float(shape.batch) * shape.length**2 * shape.width


def _with_projections(
    shape: Shape,
    scope: Scope,
    phase: Phase,
    *,
    itemsize_bytes: int,
    core_flops: float,
    core_bytes: float,
    flops_paper: float | None,
    peak: float,
    source: str,
) -> Cost:
    layer = scope is Scope.LAYER
    flops = projection_flops(shape, PARTS) if layer else 0.0
    moved = projection_bytes(shape, PARTS, itemsize_bytes) if layer else 0.0
    parameters = projection_parameters(shape.width, PARTS) if layer else 0
    unit = _unit(shape, itemsize_bytes)
    static = unit + parameters * itemsize_bytes if layer else PARTS * unit
    return Cost(
        flops=core_flops + of_phase(phase, forward=flops, backward=2 * flops),
        bytes=core_bytes + of_phase(phase, forward=moved, backward=2 * moved),
        flops_paper=flops_paper,
        parameters=parameters,
        need_bytes=static + peak + (unit if phase.has_gradients else 0.0),
        source=source,
    )


def _flash_peak(shape: Shape, scope: Scope, phase: Phase, unit: float) -> float:
    """Measured on a CPU (torch.profiler's allocations, torch 2.13): 1 unit forward and 5 training, a layer's qkv on top.

    16-bit kernels sum dq in float32, two units more. Tiles take about 0.6 MB a thread forward, 1 MiB backward.
    """
    sums = 4.0 * shape.batch * shape.heads * shape.length
    layer = scope is Scope.LAYER
    if not phase.has_gradients:
        return (5 if layer else 1) * unit + sums + _tiles()
    itemsize_bytes = unit / (shape.batch * shape.length * shape.width)
    wide = 2 * unit if itemsize_bytes < 4 else 0.0
    weights = shape.width**2 * itemsize_bytes if layer else 0.0
    return (9 if layer else 5) * unit + wide + 2 * sums + weights + _tiles()


def _tiles() -> float:
    return float(TILES_BYTES * torch.get_num_threads())


def _standard_peak(shape: Shape, scope: Scope, phase: Phase, unit: float) -> float:
    """Measured on a CPU: 2 matrices of scores forward, 3 training, 1 to 6 units, and the mask of L^2 bytes.

    At 16384 positions with 12 heads in float32 a matrix is 12 GiB: 24 GiB forward, 36 GiB training.
    """
    scores = unit * shape.heads * shape.length / shape.width
    layer = scope is Scope.LAYER
    mask = float(shape.length**2)
    if not phase.has_gradients:
        return 2 * scores + (5 if layer else 1) * unit + mask
    weights = unit * shape.width / (shape.batch * shape.length) if layer else 0.0
    return 3 * scores + (6 if layer else 3) * unit + weights + mask
