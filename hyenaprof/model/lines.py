"""What came of it: the lines of a journal, told apart by their kind."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from hyenaprof.model.point import Cost, Fingerprint, OnDisk, Outcome, Point

SCHEMA_VERSION = 1


class JournalLine(OnDisk):
    """Base of a journal's lines; `kind` tells them apart."""


class HeaderLine(JournalLine):
    """Begins every session and every other interpreter's part."""

    kind: Literal["header"] = "header"
    schema_version: int = SCHEMA_VERSION
    hyenaprof: str
    fingerprint: Fingerprint
    started_at: float
    """Seconds since the epoch, UTC."""
    scenario: str | None = None
    """The scenario's YAML, so that the journal alone tells what was asked."""
    command: tuple[str, ...] = ()
    """Words after `hyenaprof` that ask for the same, that YAML saved as scenario.yaml; empty in earlier journals."""
    run: str | None = None
    """Which run this line begins a part of, in a journal that was merged from several."""


class DeviceState(OnDisk):
    """What the device did during a visit; None where it cannot be read."""

    clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    throttle_reasons: tuple[str, ...] = ()
    other_processes: int | None = None


class Visit(JournalLine):
    """One operator at one point in one process: the unit that is written, lost and counted."""

    kind: Literal["visit"] = "visit"
    point: Point
    round: int = Field(ge=0)
    order: int = Field(ge=0)
    """Place among the round's sides at this length, 0 first."""
    outcome: Outcome
    reason: str | None = None
    latency_s: tuple[float, ...] = ()
    """Seconds of every sample, in order, dropped ones included."""
    dropped: tuple[int, ...] = ()
    """Indices into latency_s of samples during which the process was preempted."""
    offset_s: tuple[float, ...] = ()
    """Start of every sample, seconds after started_at."""
    host_s: tuple[float, ...] = ()
    """Seconds until the host had launched each sample; empty where host and device are one."""
    warmup_s: float | None = None
    """Seconds spent in warm-up calls, the first one included."""
    setup_s: float | None = None
    """Seconds spent building, compiling and planning, before the warm-up."""
    cpu_s: float | None = None
    """CPU seconds of this process during the samples."""
    energy_j: float | None = None
    """Joules per call, where the window was long enough."""
    state: DeviceState | None = None
    started_at: float
    """Seconds since the epoch, UTC."""
    fingerprint_id: str
    warnings: tuple[str, ...] = ()

    @property
    def clean_s(self) -> tuple[float, ...]:
        """Samples in seconds without the dropped ones."""
        dropped = set(self.dropped)
        return tuple(sample for index, sample in enumerate(self.latency_s) if index not in dropped)

    @property
    def key(self) -> tuple[str, str, int]:
        """What stands exactly once in a run: (fingerprint id, point id, round)."""
        return (self.fingerprint_id, self.point.id, self.round)


class SkipLine(JournalLine):
    """A point that was not timed, and why; void once a visit of the point stands in the journal."""

    kind: Literal["skip"] = "skip"
    point: Point
    outcome: Outcome
    reason: str
    predicted_s: float | None = None
    """Predicted seconds of one call, from the cost model; never a measurement."""
    inferred: bool = False
    """True where the outcome was concluded rather than met."""
    fingerprint_id: str


class CheckEntry(OnDisk):
    """One compared quantity: the output, a named gradient, or causality."""

    quantity: str
    error: float | None
    """Largest error over largest reference value; None where the result was not finite."""
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is known and within the tolerance."""
        return self.error is not None and self.error <= self.tolerance

    @property
    def share(self) -> float:
        """Error over tolerance; infinite where the error is not known, or not 0 where it must be."""
        if self.error is None:
            return math.inf
        return self.error / self.tolerance if self.tolerance else (math.inf if self.error else 0.0)


class CheckLine(JournalLine):
    """Verification of an implementation (at a small length) or of a point (at the length that is timed)."""

    kind: Literal["check"] = "check"
    point: Point
    """Its shape is the one that was checked."""
    method: str
    """What it was compared with: `float64 definition`, `sampled positions`, ..."""
    entries: tuple[CheckEntry, ...]
    fingerprint_id: str

    @property
    def passed(self) -> bool:
        """Whether every entry passed."""
        return all(entry.passed for entry in self.entries)

    @property
    def worst(self) -> CheckEntry:
        """The entry furthest beyond (or nearest to) its tolerance."""
        return max(self.entries, key=lambda entry: entry.share)


class MemoryLine(JournalLine):
    """Peak memory of one call, from a separate untimed pass."""

    kind: Literal["memory"] = "memory"
    point: Point
    peak_bytes: int = Field(ge=0)
    """Peak of allocated bytes less inputs and weights."""
    method: str
    dispatched: tuple[str, ...] = ()
    """Operators or kernels that did the main work in that pass, as the profiler names them."""
    fingerprint_id: str


class CostLine(JournalLine):
    """The operator's cost model at a point."""

    kind: Literal["cost"] = "cost"
    point: Point
    cost: Cost


class ChoiceLine(JournalLine):
    """Which implementation an operator named alone stands for here, from a short measured trial."""

    kind: Literal["choice"] = "choice"
    operator: str
    implementation: str
    trial_s: dict[str, float]
    """Median seconds of each candidate that verified."""
    rejected: dict[str, str] = Field(default_factory=dict)
    """Reason for each candidate that did not."""
    fingerprint_id: str


TOLERATED = 1.1
"""A ceiling is the best of five: a number up to 10 % beyond it is still within what a quieter moment gives."""
DISTURBED_LEAST = 0.5
"""Ceilings that other processes disturbed: the fastest of five samples came down to half of what it is without them."""


class CeilingsLine(JournalLine):
    """What the machine was measured to do at best."""

    kind: Literal["ceilings"] = "ceilings"
    device: str
    copy_bytes_per_s: dict[int, float] = Field(default_factory=dict)
    """Copy bandwidth (read plus written) by working-set size in bytes."""
    gemm_flops_per_s: dict[str, float] = Field(default_factory=dict)
    """Matrix multiplication rate by dtype."""
    fft_flops_per_s: dict[int, float] = Field(default_factory=dict)
    """Real FFT rate (2.5 n lg n) by points."""
    launch_s: float | None = None
    """Seconds of an empty launch."""
    spread: dict[str, float] = Field(default_factory=dict)
    """Relative spread of the five repetitions behind each figure."""
    warnings: tuple[str, ...] = ()
    """What disturbed the measurement: figures are then too low to call little more than them implausible."""
    fingerprint_id: str

    @property
    def tolerated(self) -> float:
        """Rates up to so many times these are believed."""
        return TOLERATED / DISTURBED_LEAST if self.warnings else TOLERATED


class EndLine(JournalLine):
    """Ends a session; `complete` where nothing is left that more time could improve."""

    kind: Literal["end"] = "end"
    complete: bool
    reason: str
    elapsed_s: float = Field(ge=0)


Line = Annotated[
    HeaderLine | Visit | SkipLine | CheckLine | MemoryLine | CostLine | ChoiceLine | CeilingsLine | EndLine,
    Field(discriminator="kind"),
]
LINES: TypeAdapter[Line] = TypeAdapter(Line)
