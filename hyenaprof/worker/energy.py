"""Joules of one call by the device's energy counter: of the samples where they fill a second, else of calls in a row."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hyenaprof.devices.base import Device, Step
from hyenaprof.worker.iteration import Iteration

SHORTEST_S = 1.0
"""The counter ticks every 20 to 100 ms: in a shorter window one tick more or less is too much of it."""
_FILLED = 0.9
"""Share of the window that calls must take: the rest is flushes and pauses, whose energy is not theirs."""
_MOST_BATCHES = 16


def of_samples(
    before_j: float | None, after_j: float | None, *, taken_s: Sequence[float], elapsed_s: float
) -> float | None:
    """Joules per call over the samples; None unless they filled a window of a second almost wholly.

    Args:
        before_j: The counter before the first sample; None where the device has none.
        after_j: The counter after the last.
        taken_s: Seconds of each sample.
        elapsed_s: Seconds between the two readings.
    """
    if before_j is None or after_j is None or elapsed_s < SHORTEST_S or sum(taken_s) < _FILLED * elapsed_s:
        return None
    return (after_j - before_j) / len(taken_s)


def of_calls_in_a_row(
    iteration: Iteration, steps: Sequence[Step], device: Device, *, typical_s: float, window_s: float
) -> float | None:
    """Joules per call over untimed calls one after the other, nothing flushed between them.

    Args:
        iteration: What is called; it has been sampled before.
        steps: Its steps, as the device runs them.
        device: Whose counter is read.
        typical_s: Seconds that a call takes, about.
        window_s: Seconds that the calls must fill; at least a second.

    Returns:
        None where the device has no counter, or the calls turned out too short to fill the window.
    """
    before_j, began_s, calls, elapsed_s = device.energy_j(), device.now_s(), 0, 0.0
    if before_j is None or typical_s <= 0:
        return None
    for _ in range(_MOST_BATCHES):
        batch = math.ceil((max(window_s, SHORTEST_S) - elapsed_s) / typical_s)
        for _ in range(batch):
            _call(iteration, steps)
        device.synchronize()
        calls, elapsed_s = calls + batch, device.now_s() - began_s
        if elapsed_s >= max(window_s, SHORTEST_S):
            after_j = device.energy_j()
            return None if after_j is None else (after_j - before_j) / calls
    return None


def _call(iteration: Iteration, steps: Sequence[Step]) -> None:
    for step in steps:
        step()
    iteration.clear()
