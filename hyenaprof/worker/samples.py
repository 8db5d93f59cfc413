"""What one visit saw, before it is read as phases."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from hyenaprof.devices.nvml import HARDWARE_THROTTLING
from hyenaprof.model import DeviceState, Phase
from hyenaprof.worker.contention import FEWEST_CLEAN
from hyenaprof.worker.iteration import reading


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed iteration. Seconds; `steps_s` has one entry a step."""

    steps_s: tuple[float, ...]
    host_s: float | None
    offset_s: float
    preempted: bool
    wall_s: float = 0.0
    """Seconds from the first step to the end of the last, where host and device are one."""

    @property
    def total_s(self) -> float:
        """Seconds of all steps."""
        return sum(self.steps_s)

    @property
    def spent_s(self) -> float:
        """Seconds of the visit's window that it took: a call that waits takes no CPU time, and must still end."""
        return max(self.total_s, self.wall_s)


@dataclass(slots=True)
class Samples:
    """Samples in order, and what surrounded them."""

    taken: list[Sample] = field(default_factory=list)
    started_at: float = 0.0
    setup_s: float = 0.0
    warmup_s: float = 0.0
    cpu_s: float | None = None
    energy_j: float | None = None
    state: DeviceState | None = None
    warnings: tuple[str, ...] = ()

    @property
    def dropped(self) -> tuple[int, ...]:
        """Samples during which the process was preempted; none where fewer than five would be left."""
        marked = tuple(index for index, sample in enumerate(self.taken) if sample.preempted)
        return marked if len(self.taken) - len(marked) >= FEWEST_CLEAN else ()

    @property
    def typical_s(self) -> float:
        """Median of all steps together, in seconds."""
        return median(sample.total_s for sample in self.taken)

    @property
    def hardware_throttling(self) -> tuple[str, ...]:
        """Reasons for which the hardware slowed itself down."""
        reasons = self.state.throttle_reasons if self.state is not None else ()
        return tuple(reason for reason in reasons if reason in HARDWARE_THROTTLING)

    def read(self, phase: Phase) -> tuple[float, ...]:
        """Seconds of one phase, sample by sample, dropped ones included."""
        return tuple(reading(phase, sample.steps_s) for sample in self.taken)

    def clean(self, phase: Phase) -> tuple[float, ...]:
        """Seconds of one phase without the dropped samples."""
        dropped = set(self.dropped)
        return tuple(value for index, value in enumerate(self.read(phase)) if index not in dropped)
