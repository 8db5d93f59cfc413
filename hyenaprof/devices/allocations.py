"""Peak memory on the CPU from the profiler's allocation events: exact, where a process's resident set is 33-42 % off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from torch.profiler import ProfilerActivity, profile, record_function

from hyenaprof.devices.base import MemoryReading, Step

_SEAM = "hyenaprof step"
_MEMORY = "[memory]"


def profiled(steps: Sequence[Step]) -> MemoryReading:
    """Runs the steps once under the profiler and integrates what they allocated and freed.

    A step's peak counts what earlier steps left standing: the backward pass holds what the forward pass saved.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as session:
        for step in steps:
            with record_function(_SEAM):
                pass
            step()
    events = session.profiler.kineto_results.events() if session.profiler is not None else []
    starts = [event.start_ns() for event in events if event.name() == _SEAM]
    changes = sorted((e.start_ns(), order, e.nbytes()) for order, e in enumerate(events) if e.name() == _MEMORY)
    return MemoryReading(
        peak_bytes=step_peaks(starts, [(at_ns, size) for at_ns, _, size in changes]),
        method="profiler allocation events",
        dispatched=names_by_time(session),
    )


def names_by_time(session: profile) -> tuple[str, ...]:
    """Every kernel that ran, then every operator, each by its own time, longest first."""
    averages = [average for average in session.key_averages() if average.key not in {_SEAM, _MEMORY}]
    on_gpu = [average for average in averages if average.device_type.name != "CPU"]
    on_cpu = [average for average in averages if average.device_type.name == "CPU"]
    kernels = sorted(on_gpu, key=lambda average: -average.self_device_time_total)
    operators = sorted(on_cpu, key=lambda average: -average.self_cpu_time_total)
    return tuple(dict.fromkeys(average.key for average in (*kernels, *operators)))


def step_peaks(starts_ns: Sequence[int], changes: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """Highest running sum of the changes within each step, in bytes and never below 0.

    Args:
        starts_ns: When each step began.
        changes: (time, bytes allocated or, negative, freed), in order of time.
    """
    times, sizes = zip(*changes, strict=True) if (changes := list(changes)) else ((), ())
    levels = list(zip(times, accumulate(sizes), strict=True))
    peaks = []
    for start, end in zip(starts_ns, [*starts_ns[1:], None], strict=True):
        standing = [level for at_ns, level in levels if at_ns < start][-1:]
        within = [level for at_ns, level in levels if at_ns >= start and (end is None or at_ns < end)]
        peaks.append(max([0, *standing, *within]))
    return tuple(peaks)
