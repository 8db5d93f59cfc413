"""Tells whether other processes took CPUs away while samples were taken."""

from __future__ import annotations

import os

from hyenaprof.devices.base import Load

FEWEST_CLEAN = 5
"""With fewer samples left than this, preempted samples are kept."""
_STALLED = 0.02
"""Share of the time in which somebody waited for a CPU, above which a visit is contended."""
_FOREIGN_CPUS = 0.05
"""CPUs used by others, below which they are the system's own housekeeping."""
_SHORTEST_S = 0.1
"""Kernel counters tick every 10 ms: below this they say nothing about others."""


def contention(before: Load, after: Load, *, elapsed_s: float, preempted: int, samples: int) -> tuple[str, ...]:
    """Gives a warning where others used CPUs that this process waited for, else nothing.

    Args:
        before: Counters before the first sample.
        after: Counters after the last.
        elapsed_s: Wall seconds between them.
        preempted: Samples during which this process was preempted.
        samples: Samples in all.
    """
    foreign = contending_cpus(before, after, elapsed_s=elapsed_s, preempted=preempted > 0)
    if foreign is None:
        return ()
    cpus = len(os.sched_getaffinity(0))
    kept = "" if samples - preempted >= FEWEST_CLEAN else f"; {preempted} of {samples} samples preempted and kept"
    return (f"contended: other processes used {foreign:.1f} of {cpus} CPUs while samples were taken{kept}",)


def contending_cpus(before: Load, after: Load, *, elapsed_s: float, preempted: bool) -> float | None:
    """CPUs that others used while somebody waited for one; None where they did not, or it cannot be told."""
    foreign = foreign_cpus(before, after, elapsed_s)
    if foreign is None or foreign < _FOREIGN_CPUS:
        return None
    stalled = _stalled_share(before, after, elapsed_s)
    waited = preempted if stalled is None else stalled > _STALLED
    return foreign if waited else None


def foreign_cpus(before: Load, after: Load, elapsed_s: float) -> float | None:
    """CPUs that other processes kept busy on average; None where it cannot be told."""
    if before.busy_s is None or after.busy_s is None or elapsed_s < _SHORTEST_S:
        return None
    return max(0.0, (after.busy_s - before.busy_s) - (after.cpu_s - before.cpu_s)) / elapsed_s


def _stalled_share(before: Load, after: Load, elapsed_s: float) -> float | None:
    if before.stalled_s is None or after.stalled_s is None:
        return None
    return (after.stalled_s - before.stalled_s) / elapsed_s
