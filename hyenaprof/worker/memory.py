"""Peak memory of one call, from a pass of its own that is never timed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from hyenaprof.devices.base import Device, Step
from hyenaprof.model import MemoryLine, Phase, Point
from hyenaprof.operators.base import Operator
from hyenaprof.pipe import MemoryAnswer
from hyenaprof.worker.iteration import Iteration, enacted, prepare
from hyenaprof.worker.outcomes import NotDispatched

_SHOWN = 8
"""Operators or kernels named in a memory line."""


def peak_memory(points: Sequence[Point], operator: Operator, device: Device, *, fingerprint_id: str) -> MemoryAnswer:
    """Runs one iteration and gives a line a point: peak bytes above inputs, weights and the output's gradient.

    The backward pass is read at its own highest level, saved activations included; training at the highest of both.

    Raises:
        Unsupported: The implementation cannot run here.
        NotDispatched: Something else ran than the implementation's name says.
    """
    iteration = prepare(operator, points[0], device)
    steps = enacted(iteration, points[0], operator, device, round_index=0)
    began = time.perf_counter()
    if device.meters_warm:
        for step in _with_seam(steps, iteration):
            step()
        iteration.clear()
    made_before = iteration.cotangent is not None
    read = device.meter(_with_seam(steps, iteration))
    elapsed_s = time.perf_counter() - began
    cotangent_bytes = 0 if made_before or iteration.cotangent is None else iteration.cotangent.nbytes
    peaks = _net(read.peak_bytes, cotangent_bytes)
    iteration.clear()
    _check_dispatched(read.dispatched, operator.expected_ops(points[0].implementation, device.torch_device.type))
    lines = tuple(
        MemoryLine(
            point=point,
            peak_bytes=_peak(point.phase, peaks),
            method=read.method,
            dispatched=read.dispatched[:_SHOWN],
            fingerprint_id=fingerprint_id,
        )
        for point in points
    )
    return MemoryAnswer(lines=lines, elapsed_s=elapsed_s)


def _check_dispatched(seen: Sequence[str], expected: Sequence[str]) -> None:
    """Refuses a call that did not run what its name says.

    Raises:
        NotDispatched: An expected operator is missing. A device whose pass sees none, as the fake, is not asked.
    """
    missing = [name for name in expected if name not in seen]
    if seen and missing:
        raise NotDispatched(f"{', '.join(missing)} was not dispatched; {', '.join(seen[:_SHOWN])} ran instead")


def _with_seam(steps: tuple[Step, ...], iteration: Iteration) -> tuple[Step, ...]:
    """The steps with the making of the output's gradient between them."""
    return (steps[0], iteration.make_cotangent, steps[1]) if iteration.with_gradients else steps


def _net(peaks: Sequence[int], cotangent_bytes: int) -> tuple[int, ...]:
    """Peaks of the real steps, the output's gradient taken off: it is an input of the backward pass."""
    return (peaks[0], max(0, peaks[-1] - cotangent_bytes)) if len(peaks) > 1 else tuple(peaks)


def _peak(phase: Phase, steps: Sequence[int]) -> int:
    return {Phase.BACKWARD: steps[-1], Phase.TRAINING: max(steps)}.get(phase, steps[0])
