"""The nouns: what is measured (Point), what came of it (journal lines), and what is derived from them.

What is written to disk is a frozen pydantic model; what lives in memory only is a frozen dataclass. Base units
everywhere: seconds, bytes, joules, tokens.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter, model_validator

SCHEMA_VERSION = 1
OptionValue = bool | int | float | str


def _pairs(value: Any) -> Any:  # noqa: ANN401 -- pydantic hands over whatever was in the file
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value


Options = Annotated[tuple[tuple[str, OptionValue], ...], BeforeValidator(_pairs), PlainSerializer(dict)]
"""Options of an operator: sorted pairs in memory so that a Point can be hashed, an object on disk."""


class OnDisk(BaseModel):
    """Base of all that is written: frozen, no unknown keys, no infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="null")

    def __iter__(self) -> Generator[tuple[str, Any], None, None]:  # noqa: PYI058 -- as pydantic declares it
        """Fields and their values, and not a cached id: `{**dict(point), "seed": 1}` makes another point."""
        return ((name, getattr(self, name)) for name in type(self).model_fields)


class Scope(StrEnum):
    """What is inside the timed region."""

    CORE = "core"
    LAYER = "layer"
    BLOCK = "block"


class Phase(StrEnum):
    """Which part of an iteration is read; backward and training are two readings of the same iterations."""

    FORWARD = "forward"
    BACKWARD = "backward"
    TRAINING = "training"
    DECODE = "decode"

    @property
    def has_gradients(self) -> bool:
        """Whether the iteration behind this phase runs the backward pass."""
        return self in (Phase.BACKWARD, Phase.TRAINING)


class DType(StrEnum):
    """Element type of inputs, weights and outputs."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"

    @property
    def itemsize_bytes(self) -> int:
        """Bytes per element."""
        return {DType.FLOAT64: 8, DType.FLOAT32: 4}.get(self, 2)


class Outcome(StrEnum):
    """What came of a point; every attempt ends in exactly one."""

    OK = "ok"
    OOM = "oom"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    INCORRECT = "incorrect"
    UNSUPPORTED = "unsupported"
    OVER_BUDGET = "over_budget"
    IMPLAUSIBLE = "implausible"


class Shape(OnDisk):
    """Sizes of one problem: B, L, D and H of the dimension key in `operators/base.py`."""

    batch: int = Field(ge=1)
    length: int = Field(ge=1, le=1024**2)
    width: int = Field(ge=1)
    heads: int = Field(ge=1)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide width {self.width}")
        return self

    @property
    def head_dimension(self) -> int:
        """Channels per head, K = D / H."""
        return self.width // self.heads

    def at(self, length: int) -> Shape:
        """The same problem at another length in tokens."""
        return Shape.model_validate({**dict(self), "length": length})


@dataclass(frozen=True, slots=True, order=True)
class Curve:
    """A point without its length: one line in a figure, one side of a crossover."""

    operator: str
    implementation: str
    scope: Scope
    phase: Phase
    batch: int
    width: int
    heads: int
    dtype: DType
    device: str
    options: tuple[tuple[str, OptionValue], ...]

    @property
    def label(self) -> str:
        """`hyena:fft`, with the options that were set: `hyena:fft[order=3]`."""
        return label_of(self.operator, self.implementation, self.options)

    @property
    def setting(self) -> tuple[Scope, Phase, int, int, int, DType, str]:
        """What two curves must share to be compared."""
        return (self.scope, self.phase, self.batch, self.width, self.heads, self.dtype, self.device)


def label_of(operator: str, implementation: str, options: tuple[tuple[str, OptionValue], ...]) -> str:
    """Names an operator as it is shown: `hyena:fft[order=3]`."""
    shown = ",".join(f"{name}={value}" for name, value in options)
    return f"{operator}:{implementation}" + (f"[{shown}]" if shown else "")


class Point(OnDisk):
    """The key of every measurement: change one field and it is another point.

    `device` is a kind (`cuda`, `cpu`, `fake`); `options` holds only those that differ from the operator's defaults.
    """

    operator: str
    implementation: str
    scope: Scope
    phase: Phase
    shape: Shape
    dtype: DType
    device: str
    seed: int = 0
    options: Options = ()

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits, equal for equal points on every machine."""
        return stable_hash(self.model_dump(mode="json"))

    @property
    def label(self) -> str:
        """`hyena:fft`, with options."""
        return label_of(self.operator, self.implementation, self.options)

    @property
    def curve(self) -> Curve:
        """The point without its length and seed."""
        shape = self.shape
        return Curve(
            operator=self.operator,
            implementation=self.implementation,
            scope=self.scope,
            phase=self.phase,
            batch=shape.batch,
            width=shape.width,
            heads=shape.heads,
            dtype=self.dtype,
            device=self.device,
            options=self.options,
        )

    def at(self, length: int) -> Point:
        """The same point at another length in tokens."""
        return Point.model_validate({**dict(self), "shape": self.shape.at(length)})

    def reading(self, phase: Phase) -> Point:
        """The same point read in another phase."""
        return Point.model_validate({**dict(self), "phase": phase})

    def __str__(self) -> str:
        """`hyena:fft training L=8192`."""
        return f"{self.label} {self.phase} L={self.shape.length}"


def stable_hash(value: Any, digits: int = 12) -> str:  # noqa: ANN401 -- any JSON value
    """Hashes a JSON value over its canonical text (sorted keys): the same on every machine and Python."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


FactValue = str | int | float | bool | None | tuple[str, ...]


class Fingerprint(OnDisk):
    """What a number belongs to, in three parts of stable fields; no host, user, path or serial number."""

    machine: dict[str, FactValue]
    software: dict[str, FactValue]
    protocol: dict[str, FactValue]

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits over the three parts."""
        return stable_hash(self.model_dump(mode="json"))


class Cost(OnDisk):
    """Analytic work of one call, by the operator's own formula; kept in the journal so that it stays readable."""

    flops: float = Field(ge=0)
    """Algorithmic FLOPs, multiply and add counted as two."""
    bytes: float = Field(ge=0)
    """Least bytes moved to and from memory by a fully fused implementation."""
    flops_paper: float | None = None
    """The operator's paper's own formula, where it has one."""
    parameters: int = Field(default=0, ge=0)
    """Learned parameters of the layer (0 in core scope)."""
    need_bytes: float = Field(ge=0)
    """Estimated peak memory of this implementation, inputs and weights included: decides `oom (inferred)`."""
    source: str
    """Where the formula stands."""


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
        return max(self.entries, key=lambda e: float("inf") if e.error is None else e.error / e.tolerance)


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
    rejected: dict[str, str] = {}
    """Reason for each candidate that did not."""
    fingerprint_id: str


class CeilingsLine(JournalLine):
    """What the machine was measured to do at best."""

    kind: Literal["ceilings"] = "ceilings"
    device: str
    copy_bytes_per_s: dict[int, float] = {}
    """Copy bandwidth (read plus written) by working-set size in bytes."""
    gemm_flops_per_s: dict[str, float] = {}
    """Matrix multiplication rate by dtype."""
    fft_flops_per_s: dict[int, float] = {}
    """Real FFT rate (2.5 n lg n) by points."""
    launch_s: float | None = None
    """Seconds of an empty launch."""
    spread: dict[str, float] = {}
    """Relative spread of the five repetitions behind each figure."""
    fingerprint_id: str


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


@dataclass(frozen=True, slots=True)
class Record:
    """All that a run knows of one point on one fingerprint, assembled when read."""

    fingerprint_id: str
    point: Point
    outcome: Outcome
    reason: str | None
    visits: tuple[Visit, ...] = ()
    """Visits with outcome ok, by round."""
    failures: tuple[Visit, ...] = ()
    memory: MemoryLine | None = None
    cost: Cost | None = None
    check: CheckLine | None = None
    predicted_s: float | None = None
    inferred: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of all visits, each once, in order of appearance."""
        return tuple(dict.fromkeys(w for visit in (*self.visits, *self.failures) for w in visit.warnings))


@dataclass(frozen=True, slots=True)
class Summary:
    """A point's time in seconds: median over visits, 95 % interval, and where the spread comes from."""

    median_s: float
    low_s: float | None
    """None below two visits: no interval can be had."""
    high_s: float | None
    visits: int
    samples: int
    precision: float | None
    """Half-width of the interval over the median."""
    within_spread: float | None
    """Relative standard deviation inside a process, median over visits."""
    between_spread: float | None
    """Relative standard deviation of visit medians."""
    unstable: bool
    """Fewer than five visits, or the precision asked for was not reached."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Incumbent time over challenger time at one length, from paired rounds: above 1 the challenger is faster."""

    length: int
    ratio: float
    low: float | None
    high: float | None
    rounds: int
    paired: bool = True

    @property
    def leader(self) -> Literal["challenger", "incumbent"] | None:
        """Who is significantly faster, None where the interval covers 1 or is not known."""
        if self.low is not None and self.low > 1:
            return "challenger"
        if self.high is not None and self.high < 1:
            return "incumbent"
        return None


class CrossoverState(StrEnum):
    """How the search for a crossover ended."""

    RESOLVED = "resolved"
    NONE_IN_RANGE = "none in range"
    SEVERAL = "several"
    EQUAL = "practically equal"
    UNRESOLVED = "unresolved"
    CENSORED = "censored"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class Flip:
    """One sign change: who leads after it, where it lies, and how sure that is. Lengths in tokens."""

    length: float
    low: float | None
    high: float | None
    bracket: tuple[int, int]
    """Last measured length with one sign and first with the other."""
    significant: tuple[int | None, int | None]
    """Sign bracket free of assumptions: last length with a significant leader before, first with the other after."""
    leader_after: str


@dataclass(frozen=True, slots=True)
class Crossover:
    """Where the challenger overtakes the incumbent, as a measured result."""

    challenger: Curve
    incumbent: Curve
    metric: Literal["latency", "peak_memory", "energy"]
    state: CrossoverState
    flips: tuple[Flip, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    range: tuple[int, int] | None = None
    """Shortest and longest length at which both were measured."""
    winner: str | None = None
    """Label of who leads throughout, for `none in range` and `censored`."""
    reason: str | None = None
    """What censored the search, or why nothing can be said."""
    equal_zone: tuple[int, int] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report: a title, prose, tables and figures, rendered to Markdown and HTML."""

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    anchor: str = ""
    listings: tuple[str, ...] = ()
    """Text shown as it is, such as a command or a scenario."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell that is more than its text."""

    text: str
    sort: float | None = None
    """What the column sorts by, where that is not the text; in base units."""
    tone: Literal["", "good", "bad", "warn", "faint"] = ""
    """How it is tinted; the text alone must say the same."""
    strip: tuple[int, ...] = ()
    """Samples in order, quantised to 0 to 63, drawn beside the text where the medium can draw."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    caption: str = ""
    interactive: bool = False
    """Whether a reader would want to sort and filter it."""
    filters: tuple[str, ...] = ()
    """Columns of few values, offered as filters in an interactive table."""


@dataclass(frozen=True, slots=True)
class Figure:
    """An inline SVG with the words that stand for it where it cannot be seen."""

    svg: str
    caption: str
    alt: str
    data: Table | None = field(default=None)
    name: str = ""
    """Names its file and its place in a page; unique in a report."""
