"""The gate's loop: two environments in the same rounds, until each point is clear or the budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hyenaprof.errors import FingerprintError, JournalError
from hyenaprof.model import EndLine, Outcome, Point, Record, Visit
from hyenaprof.pipe import Progress, VisitRules
from hyenaprof.records.fingerprints import differences, few
from hyenaprof.records.scenario import Scenario
from hyenaprof.running.choice import possible_sides
from hyenaprof.running.environments import Compared
from hyenaprof.running.ledger import visit_wall_s
from hyenaprof.running.plan import Iteration, pairings_at
from hyenaprof.running.progress import Display
from hyenaprof.running.rounds import over_budget_reason, too_large
from hyenaprof.running.session import Session
from hyenaprof.running.workers import Refused
from hyenaprof.units import format_duration

if TYPE_CHECKING:
    from hyenaprof.analysis.gate import Gate

VISIT_S = 0.2
"""Seconds of samples in a visit: what tells two sides apart is the number of rounds, not that of samples."""
PRECISION = 0.01
"""Half-width of a median's interval at which a visit is shorter still."""
ROOT = Path("runs")
BASE, CANDIDATE = "base", "candidate"

Judge = Callable[[Iterable[Record], Iterable[Record], bool], "Gate"]
"""Gives the verdicts on two sides' records so far; told whether no more rounds will come."""


@dataclass(frozen=True, slots=True)
class GateRun:
    """What a gate measured and what came of it.

    Attributes:
        folder: Holds a run for each side, `base` and `candidate`.
        gate: The verdicts.
        rounds: Rounds that were begun.
        interrupted: Whether it was stopped from outside.
    """

    folder: Path
    gate: Gate
    rounds: int
    interrupted: bool


def measure_gate(
    scenario: Scenario,
    compared: Compared,
    judge: Judge,
    display: Display,
    *,
    out: Path | None = None,
    timeout_s: float | None = None,
) -> GateRun:
    """Measures both sides of a suite in paired rounds.

    Args:
        scenario: The suite. Every implementation of an operator that is named alone takes part.
        compared: The two environments.
        judge: Says what is clear, and what must be measured again.
        display: Told of everything as it happens.
        out: The folder to write to, which must be empty or new; None for a new one under `runs`.
        timeout_s: Seconds after which an operator that gives no answer is killed; None for a limit by prediction.

    Raises:
        HyenaprofError: It could not begin: no device, no worker, a folder that holds something.
    """
    folder = new_folder(scenario, out)
    first = possible_sides(scenario, {})[0]
    sessions: list[Session] = []
    try:
        for name, interpreter in ((BASE, compared.base), (CANDIDATE, compared.candidate)):
            sessions.append(
                Session(
                    scenario,
                    folder / name,
                    standing=None,
                    lines=(),
                    display=_Named(display, name),
                    first_side=first,
                    timeout_s=timeout_s,
                    command=("gate", "scenario.yaml"),
                    interpreter=interpreter,
                    beside=sessions[0] if sessions else None,
                )
            )
        _refuse_unlike(*sessions)
        loop = Lockstep(*sessions, judge=judge, display=display)
        try:
            gate = loop.measure()
        except KeyboardInterrupt:
            display.note("interrupted; the verdicts on what there is")
            return GateRun(folder, loop.stopped(), loop.rounds, interrupted=True)
        return GateRun(folder, gate, loop.rounds, interrupted=False)
    finally:
        for session in sessions:
            session.close()


def new_folder(scenario: Scenario, out: Path | None, *, kind: str = "gate") -> Path:
    """A folder that holds nothing yet.

    Args:
        scenario: What is measured into it.
        out: The one that the user named, or None for one under `runs`.
        kind: Of what is measured; begins the name of a folder that the user did not name.

    Raises:
        JournalError: The one that was named holds something.
    """
    if out is not None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise JournalError(f"{out.name} is not an empty folder", hint="name a new one with --out")
        return out
    name = _name(scenario, kind)
    number = max(_numbered(name), default=0) + 1
    return ROOT / (name if number == 1 else f"{name}-{number}")


def folders(scenario: Scenario) -> list[Path]:
    """The folders of earlier gates of a suite, in the order in which they were made."""
    found = _numbered(_name(scenario, "gate"))
    return [found[number] for number in sorted(found)]


def _numbered(name: str) -> dict[int, Path]:
    """Folders of a name, the first of which bears no number."""
    found = {1: ROOT / name}
    for folder in ROOT.glob(f"{name}-*"):
        if (number := folder.name.removeprefix(f"{name}-")).isdigit():
            found[int(number)] = folder
    return {number: folder for number, folder in found.items() if folder.exists()}


def _name(scenario: Scenario, kind: str) -> str:
    # Never `NAME-HASH` alone: that is the folder of a sweep of the same page.
    return f"{kind}-{scenario.name.removeprefix('gate').lstrip('-') or 'suite'}-{scenario.hash}"


def _refuse_unlike(base: Session, candidate: Session) -> None:
    """Lets only sides meet that are measured alike.

    Raises:
        FingerprintError: Their protocols differ: another clock, number of threads, or setting of a library.
    """
    ours, theirs = base.fingerprint, candidate.fingerprint
    if ours.conditions != theirs.conditions:
        found = differences(ours, theirs, (BASE, CANDIDATE), parts=("machine", "protocol"))
        raise FingerprintError(
            f"the two sides are not measured alike: {few(found)}",
            hint="make both environments use the same settings; --threads sets the number of threads",
        )


def of_the_gate(rules: VisitRules) -> VisitRules:
    """The rules of a session for visits that are shorter and stop later than a sweep's."""
    return rules.model_copy(update={"window_s": VISIT_S, "precision": PRECISION, "energy_window_s": 0.0})


class Lockstep:
    """Two sessions whose visits alternate, A B, B A, B A, A B, so that a drift of the machine meets both alike.

    Args:
        base: The side that is known to be good.
        candidate: The side that is judged.
        judge: Says what is clear, and what must be measured again.
        display: Told of each round.
    """

    def __init__(self, base: Session, candidate: Session, *, judge: Judge, display: Display) -> None:
        self._pair = (base, candidate)
        self._judge = judge
        self._display = display
        self._iterations: list[Iteration] = []
        self.rounds = 0
        for session in self._pair:
            session.rules = of_the_gate(session.rules)

    def measure(self) -> Gate:
        """Measures as many rounds as the judge asks for, of the points that it asks for, while the budget lasts."""
        self._open()
        gate = self._gate()
        while wanting := self._wanting(gate):
            if not self._fits(wanting):
                return self._ended(complete=False, reason="the budget was reached")
            self._round(wanting)
            gate = self._gate()
        return self._ended(complete=True, reason="every point is settled, or was measured as often as there are looks")

    def stopped(self) -> Gate:
        """The verdicts on what there is after an interruption."""
        return self._gate(closing=True)

    def _open(self) -> None:
        """Has every iteration's cost told and its implementation verified, on both sides."""
        base, candidate = self._pair
        scenario = base.scenario
        sides = possible_sides(scenario, {})
        base.know_ceilings(sides[0])
        candidate.ceilings = base.ceilings
        for length in scenario.lengths:
            pairings = pairings_at(length, scenario, sides=sides, dtypes=base.dtypes, device=base.device)
            self._iterations += [iteration for pairing in pairings for iteration in pairing.iterations]
        for session in self._pair:
            for iteration in self._iterations:
                if session.left_s > 0:
                    examine(session, iteration)

    def _gate(self, *, closing: bool = False) -> Gate:
        base, candidate = (session.ledger.records() for session in self._pair)
        return self._judge(base, candidate, closing)

    def _wanting(self, gate: Gate) -> list[Iteration]:
        """What to visit in the next round: all in the first, later what the judge asks for and both sides can run."""
        if not self.rounds:
            return [it for it in self._iterations if any(session.ledger.open_points(it) for session in self._pair)]
        asked = {point.id for point in gate.again if self._paired(point) < gate.rounds}
        return [
            it for it in self._iterations if any(point.id in asked for point in it.points) and self._open_on_both(it)
        ]

    def _paired(self, point: Point) -> int:
        return min(len(session.ledger.visits(point)) for session in self._pair)

    def _open_on_both(self, iteration: Iteration) -> bool:
        return all(session.ledger.open_points(iteration) for session in self._pair)

    def _fits(self, wanted: Sequence[Iteration]) -> bool:
        """Whether what is left of the budget holds another round of these."""
        needed_s = sum(
            visit_wall_s(session.ledger.call_s(it), session.rules, first=not self.rounds)
            for session in self._pair
            for it in wanted
        )
        starts_s = sum(session.workers.start_s for session in self._pair) if self.rounds else 0.0
        left_s = self._pair[0].left_s
        # The first round is begun in any case: without it there is nothing to say, and its prediction is a guess.
        return left_s > 0 and (not self.rounds or needed_s + starts_s <= left_s)

    def _round(self, wanted: Sequence[Iteration]) -> None:
        number, self.rounds = self.rounds, self.rounds + 1
        if number:
            for session in self._pair:
                session.workers.renew()
        for iteration in wanted:
            for order, session in enumerate(_in_order(self._pair, number)):
                if session.left_s > 0:
                    session.visit(iteration, number, order)
        left = format_duration(max(0.0, self._pair[0].left_s))
        self._display.note(f"round {self.rounds}: {len(wanted)} of {len(self._iterations)} measured, {left} left")

    def _ended(self, *, complete: bool, reason: str) -> Gate:
        for session in self._pair:
            for iteration in self._iterations:
                unseen = [p for p in session.ledger.open_points(iteration) if not session.ledger.visits(p)]
                if unseen:
                    need_s = visit_wall_s(session.ledger.call_s(iteration), session.rules, first=True)
                    said = over_budget_reason(need_s, session.left_s)
                    session.skip(unseen, Outcome.OVER_BUDGET, said, side=iteration.side)
            session.write([EndLine(complete=complete, reason=reason, elapsed_s=session.elapsed_s)])
        elapsed = format_duration(self._pair[0].elapsed_s)
        self._display.note(f"{reason} after {elapsed} and {self.rounds} rounds")
        return self._gate(closing=True)


def _in_order(pair: tuple[Session, Session], round_: int) -> tuple[Session, Session]:
    """The two in the round's order: each is first in every other pair of rounds, so that a trend cancels."""
    return pair[::-1] if (round_ + 1) // 2 % 2 else pair


def examine(session: Session, iteration: Iteration) -> None:
    """Closes an iteration that is found wrong, unsupported or too large before it is timed."""
    try:
        session.describe(iteration.side, iteration.points)
        reason = too_large(iteration, session.ledger, session.available_bytes)
        if reason is not None:
            session.skip(iteration.points, Outcome.OOM, reason, side=iteration.side, inferred=True)
            return
        session.checks.verify(iteration)
    except Refused as refused:
        if refused.worker_lost:
            session.lose(iteration.side)
        if session.cuts(refused):
            return
        points = session.ledger.open_points(iteration)
        session.skip(points, refused.outcome, refused.reason, side=iteration.side)
        if points and refused.outcome is not Outcome.UNSUPPORTED:  # what the other side lacks too is no news
            session.display.failed(iteration, refused.outcome, refused.reason)


class _Named:
    """One side's display: says whose failure or warning it is, and leaves the visits to the rounds' lines.

    Args:
        display: Of both sides.
        name: Of this one.
    """

    def __init__(self, display: Display, name: str) -> None:
        self._display = display
        self._name = name

    def note(self, text: str) -> None:
        """Passes it on."""
        self._display.note(f"{self._name}: {text}")

    def warn(self, text: str) -> None:
        """Passes it on."""
        self._display.warn(f"{self._name}: {text}")

    def clock(self, left_s: float, needed_s: float | None) -> None:
        """Says nothing."""

    def begin_visit(self, iteration: Iteration, round_: int, predicted_s: float) -> None:
        """Says nothing."""

    def progress(self, progress: Progress) -> None:
        """Says nothing."""

    def end_visit(self, iteration: Iteration, visits: Sequence[Visit], wall_s: float) -> None:
        """Says nothing."""

    def failed(self, iteration: Iteration, outcome: Outcome, reason: str) -> None:
        """Passes it on."""
        self._display.warn(f"{self._name}: {iteration}: {outcome}: {reason}")

    def close(self) -> None:
        """The display is closed by who opened it."""
