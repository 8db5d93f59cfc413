"""Iterations and ledgers of no particular run, and what a sweep of scripted workers told and left, for every test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from builders import make_point, make_scenario, make_visit

from hyenaprof.model import DType, Outcome, Phase, Visit
from hyenaprof.records.journal import NAME, read_journal
from hyenaprof.running.ledger import Ledger
from hyenaprof.running.plan import Iteration, Pairing, Setting, pairings_at
from hyenaprof.running.workers import Side

CROSSING = {"hyena": (1e-6, 1.0), "flash": (1e-6 / 3000, 2.0)}
"""Equal at 3000 tokens."""
FAST = {"hyena": (1e-7, 1.0), "flash": (1e-7, 1.0)}
PHASES = 3

SIDES = (Side("hyena", "fft"), Side("flash", "sdpa"))


def make_iteration(operator: str = "hyena", length: int = 1024, *phases: Phase) -> Iteration:
    """One side at one length, forward unless phases are named."""
    points = tuple(make_point(operator, length, phase=phase) for phase in phases or (Phase.FORWARD,))
    return Iteration(Side(operator, points[0].implementation), points)


def make_pairing(length: int = 1024, *phases: Phase, operators: Iterable[str] = ("hyena", "flash")) -> Pairing:
    """Those operators at one length."""
    iterations = tuple(make_iteration(operator, length, *phases) for operator in operators)
    point = iterations[0].points[0]
    shape = point.shape
    return Pairing(Setting(point.scope, shape.batch, shape.width, shape.heads, DType.FLOAT32), length, iterations)


def make_pairings(length: int, **scenario: object) -> tuple[Pairing, ...]:
    """What a scenario makes of one length, in float32 on a CPU."""
    return pairings_at(length, make_scenario(**scenario), sides=SIDES, dtypes=(DType.FLOAT32,), device="cpu")


def visited(ledger: Ledger, iteration: Iteration, latency_s: float = 1e-3, *, rounds: Iterable[int] = (0,)) -> None:
    """Gives every point of an iteration visits of that median in those rounds."""
    ledger.add(make_visit(point, latency_s, round=number) for number in rounds for point in iteration.points)


@dataclass
class RecordingDisplay:
    """A display that keeps what it is told.

    Attributes:
        notes: Notes, and warnings marked as such.
        failures: Outcome and reason of visits that failed, by what was visited.
        stop_after: Interrupts, as Ctrl-C would, after so many visits.
    """

    notes: list[str] = field(default_factory=list)
    failures: list[tuple[str, Outcome, str]] = field(default_factory=list)
    visits: int = 0
    stop_after: int | None = None
    closed: int = 0

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.notes.append(f"warning: {text}")

    def clock(self, left_s, needed_s):
        pass

    def begin_visit(self, iteration, round_, predicted_s):
        pass

    def progress(self, progress):
        pass

    def end_visit(self, *_):
        self.visits += 1
        if self.visits == self.stop_after:
            raise KeyboardInterrupt

    def failed(self, iteration, outcome, reason):
        self.failures.append((str(iteration), outcome, reason))

    def close(self):
        self.closed += 1


def lines_of(run, kind):
    return [line for line in read_journal(run.folder / NAME)[0] if isinstance(line, kind)]


def keys_of(run):
    return Counter(
        (visit.point.label, visit.point.phase, visit.point.shape.length, visit.round) for visit in lines_of(run, Visit)
    )


def outcomes_of(run, operator):
    return {
        (r.point.phase, r.point.shape.length): (r.outcome, r.reason)
        for r in run.records
        if r.point.operator == operator
    }
