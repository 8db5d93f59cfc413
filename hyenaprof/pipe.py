"""What goes down the pipe to a worker and comes back: one JSON object a line, both ways.

The parent writes a `Request`; the worker answers any number of `Progress` lines and then one `Reply`. Whatever a worker's
operators print goes to the worker's log, never into the pipe.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from hyenaprof.model import CeilingsLine, CheckLine, Cost, Fingerprint, MemoryLine, OnDisk, Outcome, Point, Visit
from hyenaprof.operators import OperatorEntry

PIPE_VERSION = 1


class VisitRules(OnDisk):
    """How one visit samples: until its median's interval is narrow, its window is spent, or samples are enough."""

    precision: float = 0.01
    """Stop when the median's interval half-width falls below this fraction."""
    min_samples: int = 10
    max_samples: int = 200
    window_s: float = 0.5
    """Stop after this many seconds of samples; a sample longer than it is taken once."""
    floor_samples: int = 5
    """Samples taken even past the window, unless one alone is longer than it."""
    cache: Literal["cold", "hot"] = "cold"
    cuda_graph: bool = False
    inputs: Literal["random", "ones"] = "random"
    """What a layer's x is filled with: seeded normal values, or ones."""
    energy_window_s: float = 0.0
    """Seconds of calls in a row whose energy is read where that of the samples cannot be; 0: none."""
    warm_calls: bool = True
    """False where a sample is known to be long and this run has warmed the point up before."""


class Hello(OnDisk):
    """First request: who are you, and what is there?"""

    verb: Literal["hello"] = "hello"
    device: str
    """`auto`, a kind, or a kind with an index: `cuda:1`."""
    threads: int | None = None
    cache: Literal["cold", "hot"] = "cold"
    """As in the rules of the visits to come; part of the fingerprint's protocol."""
    cuda_graph: bool = False
    """Likewise."""
    inputs: Literal["random", "ones"] = "random"
    """Likewise."""
    operators: tuple[str, ...] = ()
    """Entries outside the table (`pkg.mod:Class`) to import."""


class HelloAnswer(OnDisk):
    """The worker's identity; `device_kind` is what `auto` became."""

    pipe_version: int
    hyenaprof: str
    fingerprint: Fingerprint
    device_kind: str
    available_bytes: int
    """Memory that a point may take, the safety margin of 2 GiB already off."""
    threads: int
    counts_energy: bool = False
    """Whether the device has an energy counter."""
    entries: dict[str, OperatorEntry] = Field(default_factory=dict)
    """Lines of the operators outside the table that were asked for."""
    warnings: tuple[str, ...] = ()


class Describe(OnDisk):
    """Asks for the analytic cost of points, without touching the device."""

    verb: Literal["describe"] = "describe"
    points: tuple[Point, ...]


class DescribeAnswer(OnDisk):
    """One cost a point, in order."""

    costs: tuple[Cost, ...]
    cautions: tuple[str, ...] = ()
    """What a user should know before any of these points is checked or timed, because it may take long."""


class Verify(OnDisk):
    """Asks for verification of a point's implementation against the float64 definition at the point's length."""

    verb: Literal["verify"] = "verify"
    point: Point
    at_length: bool = False
    """True: the checks that need no L x L reference, at the length that is timed."""


class VerifyAnswer(OnDisk):
    """The check, to be written as it is."""

    check: CheckLine


class MeasureMemory(OnDisk):
    """Asks for peak memory of points that share one iteration."""

    verb: Literal["memory"] = "memory"
    points: tuple[Point, ...]


class MemoryAnswer(OnDisk):
    """One line a point, and the seconds that the untimed pass took (a hint for prediction, no measurement)."""

    lines: tuple[MemoryLine, ...]
    elapsed_s: float


class Measure(OnDisk):
    """Asks for one visit: points that share one iteration (one forward, or backward and training)."""

    verb: Literal["measure"] = "measure"
    points: tuple[Point, ...]
    round: int
    order: int
    rules: VisitRules = VisitRules()
    ceilings: CeilingsLine | None = None
    """Measured before, by whichever worker: a visit that exceeds them is `implausible`."""


class MeasureAnswer(OnDisk):
    """One visit a point."""

    visits: tuple[Visit, ...]
    ceilings: CeilingsLine | None = None
    """Where a visit exceeded those handed over: the better of them and of those measured again."""


class MeasureCeilings(OnDisk):
    """Asks for the machine's ceilings; `quick` takes about 3 s."""

    verb: Literal["ceilings"] = "ceilings"
    quick: bool = True


class CeilingsAnswer(OnDisk):
    """The ceilings."""

    line: CeilingsLine


class Availability(OnDisk):
    """Asks which implementations can be had here, by really importing and building them."""

    verb: Literal["availability"] = "availability"
    operators: tuple[str, ...] = ()
    """Names; empty for all in the table."""
    implementations: tuple[str, ...] = ()
    """Only those of these names; empty for all."""


class ImplementationStatus(OnDisk):
    """One implementation and why it cannot be had, if so."""

    operator: str
    implementation: str
    available: bool
    reason: str | None = None
    install: str | None = None
    """The exact install line for what is missing."""


class AvailabilityAnswer(OnDisk):
    """One status an implementation, in table order."""

    statuses: tuple[ImplementationStatus, ...]


class Inspect(OnDisk):
    """Asks for what a person should know of device and machine before a serious run; changes nothing."""

    verb: Literal["inspect"] = "inspect"


class Finding(OnDisk):
    """One thing found, and what to do about it, if anything."""

    topic: str
    state: str
    advice: str | None = None


class InspectAnswer(OnDisk):
    """The findings, in the order in which they are shown."""

    findings: tuple[Finding, ...]


class Refusal(OnDisk):
    """A request that ended in an outcome instead of an answer."""

    outcome: Outcome
    reason: str


AnyRequest = Annotated[
    Hello | Describe | Verify | MeasureMemory | Measure | MeasureCeilings | Availability | Inspect,
    Field(discriminator="verb"),
]
AnyAnswer = (
    HelloAnswer
    | DescribeAnswer
    | VerifyAnswer
    | MemoryAnswer
    | MeasureAnswer
    | CeilingsAnswer
    | AvailabilityAnswer
    | InspectAnswer
)


class Request(OnDisk):
    """One line down the pipe."""

    id: int
    body: AnyRequest


class Progress(OnDisk):
    """What the worker is at, for the live display."""

    kind: Literal["progress"] = "progress"
    id: int
    text: str
    samples: int = 0
    last_s: float | None = None


class Reply(OnDisk):
    """One line back: the answer's JSON object, or a refusal."""

    kind: Literal["reply"] = "reply"
    id: int
    answer: AnyAnswer | None = None
    refusal: Refusal | None = None
    last: bool = False
    """The worker ends after this reply: what it met has broken its device for this process."""


Message = Annotated[Progress | Reply, Field(discriminator="kind")]
MESSAGES: TypeAdapter[Progress | Reply] = TypeAdapter(Message)
