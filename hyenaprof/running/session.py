"""One session of a run: the folder held, the device held, workers asked, and whatever comes of it journaled."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import hyenaprof
from hyenaprof.environment import Allocator, Interpreter
from hyenaprof.errors import DeviceError, WorkerError
from hyenaprof.model import (
    CeilingsLine,
    CostLine,
    EndLine,
    HeaderLine,
    JournalLine,
    Outcome,
    Point,
    SkipLine,
    Visit,
)
from hyenaprof.pipe import (
    CeilingsAnswer,
    Describe,
    DescribeAnswer,
    HelloAnswer,
    Measure,
    MeasureAnswer,
    MeasureCeilings,
    MeasureMemory,
    MemoryAnswer,
    VisitRules,
)
from hyenaprof.records.journal import NAME, Journal
from hyenaprof.records.scenario import Scenario
from hyenaprof.records.store import WORKER_LOG, Run, abandon_folder, begin_folder
from hyenaprof.running.checks import Checks
from hyenaprof.running.clocks import at_one_clock
from hyenaprof.running.identity import refuse_another, refuse_mixture
from hyenaprof.running.ledger import Ledger, visit_wall_s
from hyenaprof.running.locks import DeviceLock
from hyenaprof.running.logs import scrub_log
from hyenaprof.running.plan import Iteration, dtypes_on
from hyenaprof.running.progress import Display
from hyenaprof.running.resumed import taken_up
from hyenaprof.running.rounds import ENERGY_WINDOW_S, next_rules
from hyenaprof.running.workers import START_LIMIT_S, Refused, Side, Worker, Workers, too_late
from hyenaprof.units import format_duration

GRACE = 1.15
"""A session may pass its budget by this factor to end the visit under way; then it is killed."""
LEAST_PATIENCE_S = 0.2
"""What is still asked when that time has passed gets so many seconds."""
LEAST_LIMIT_S = 60.0
LIMIT_FACTOR = 10.0
CEILINGS_LIMIT_S = 30.0
"""Seconds more for a visit, since one that exceeds the ceilings has them measured again."""


class Session:
    """A run being measured.

    Args:
        scenario: What is to be measured.
        folder: Where it is written.
        standing: What stands there already, to be resumed.
        display: Told of everything as it happens.
        timeout_s: Seconds after which an operator that gives no answer is killed; None for a limit by prediction.
        force: Try what inference says will not fit, inferred in an earlier session or now.
        command: Words after `hyenaprof` that ask for the same, for the journal's header.
        interpreter: Runs one worker for all sides; None for one worker a side.
        beside: A session under way that shares clock and device with this one.

    Raises:
        FingerprintError: The run was begun on another machine, software or protocol.
        DeviceError: No such device.
        WorkerError: No worker can be started.
        JournalError: Another process writes this run.
    """

    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        *,
        standing: Run | None,
        lines: Iterable[JournalLine],
        display: Display,
        first_side: Side,
        timeout_s: float | None = None,
        force: bool = False,
        command: tuple[str, ...] = (),
        interpreter: Interpreter | None = None,
        beside: Session | None = None,
    ) -> None:
        self.scenario, self.folder = scenario, folder
        self.display, self.force = display, force
        own, self._elsewhere = taken_up(lines, standing, force=force)
        self.ledger = Ledger(own)
        self._about = {"hyenaprof": hyenaprof.__version__, "scenario": scenario.to_yaml(), "command": command}
        self._timeout_s = timeout_s
        self._warned: set[str] = set()
        self._begun_s: float = beside._begun_s if beside else time.monotonic()  # noqa: SLF001 -- of its own kind
        self._standing = standing
        self._made = not folder.exists()
        self._lock: DeviceLock = beside._lock if beside else DeviceLock(scenario.device)  # noqa: SLF001 -- likewise
        with ExitStack() as undone:
            undone.callback(self._lock.release)
            begin_folder(folder, scenario)
            self._journal = Journal(folder / NAME)
            undone.pop_all()
        log = folder / WORKER_LOG
        self.workers = Workers(device=scenario.device, protocol=scenario.protocol, log=log, interpreter=interpreter)
        self._known = set(standing.fingerprints) if standing else set()
        self.checks = Checks(self, standing.checks if standing else ())
        self.ceilings: CeilingsLine | None = None
        self._fingerprint_ids: dict[Side, str] = {}
        hello = self._first_hello(first_side)
        self.fingerprint = hello.fingerprint
        self.device = hello.device_kind
        self.available_bytes = hello.available_bytes
        self.dtypes = dtypes_on(self.device, scenario)
        self.precision = scenario.precision_on(self.device)
        self.rules = VisitRules(
            precision=self.precision,
            cache=scenario.protocol.cache,
            cuda_graph=scenario.protocol.cuda_graph,
            inputs=scenario.protocol.inputs,
            energy_window_s=ENERGY_WINDOW_S if hello.counts_energy else 0.0,
        )

    def _first_hello(self, side: Side) -> HelloAnswer:
        with ExitStack() as undone:
            undone.callback(self.close)
            try:
                hello = self.workers.get(side, limit_s=self.limit_s(START_LIMIT_S)).hello
            except WorkerError as error:
                raise (error if self.left_s > 0 else too_late(self.scenario.budget)) from error
            except DeviceError:
                if self._made:
                    undone.pop_all().close()
                    abandon_folder(self.folder)
                raise
            refuse_another(self._standing, hello.fingerprint)
            undone.pop_all()
        self._note_header(hello, begin=True)
        return hello

    def under(self, allocator: Allocator, lengths: tuple[int, ...], *, share: float, side: Side) -> Session:
        """This session with workers of another allocator, and a ledger that knows their visits alone.

        Folder, journal, device and clock are shared. Whoever asks for it ends its workers.

        Args:
            allocator: What its workers are started with.
            lengths: What is measured first, in tokens, ascending.
            share: How much of the budget that is left it may spend.
            side: Whose worker is started first, to tell the fingerprint that this is measured on.

        Raises:
            Refused: That worker cannot be started.
        """
        budget_s = self.elapsed_s + share * max(0.0, self.left_s)
        protocol = self.scenario.protocol.model_copy(update={"allocator": allocator})
        other: Session = copy.copy(self)
        other.scenario = self.scenario.model_copy(update={"protocol": protocol, "lengths": lengths, "budget": budget_s})
        other.workers = Workers(device=self.scenario.device, protocol=protocol, log=self.folder / WORKER_LOG)
        other.ledger = Ledger(self._elsewhere)
        other.ledger.expect_as(self.ledger)
        other.checks = self.checks.made_by(other)
        other._standing, other._fingerprint_ids = None, {}
        other.fingerprint = other.worker(side).hello.fingerprint
        return other

    @property
    def elapsed_s(self) -> float:
        """Seconds since the session began."""
        return time.monotonic() - self._begun_s

    @property
    def left_s(self) -> float:
        """Seconds left of the budget; negative past it."""
        return self.scenario.budget - self.elapsed_s

    def limit_s(self, wanted_s: float) -> float:
        """Seconds that a request may take: as many as it wants, but the session ends soon after its budget."""
        return max(LEAST_PATIENCE_S, min(wanted_s, self.scenario.budget * GRACE - self.elapsed_s))

    def patience_s(self, usual_s: float) -> float:
        """Seconds that an operator's code may take to answer: as the user said, else the usual."""
        return self._timeout_s or usual_s

    def cuts(self, refused: Refused) -> bool:
        """Whether it was the end of the budget that ended a request, so that nothing is said of the point."""
        return refused.outcome is Outcome.TIMEOUT and self.left_s <= 0

    @property
    def with_gradients(self) -> bool:
        """Whether any phase that is read runs the backward pass."""
        return any(phase.has_gradients for phase in self.scenario.phases)

    def write(self, lines: Iterable[JournalLine]) -> None:
        """Journals lines and takes note of them."""
        written = tuple(lines)
        self._journal.append(written)
        self.ledger.add(written)

    def worker(self, side: Side) -> Worker:
        """The side's worker of this round, its fingerprint in the journal.

        Raises:
            Refused: It cannot be started.
            FingerprintError: The run that is resumed holds visits of this side on another fingerprint.
        """
        try:
            worker = self.workers.get(side, limit_s=self.limit_s(START_LIMIT_S))
        except WorkerError as error:
            raise Refused.of(Outcome.CRASHED if self.left_s > 0 else Outcome.TIMEOUT, error.message) from error
        if worker.hello.fingerprint.id not in self._known:
            refuse_mixture(self._standing, side, worker.hello.fingerprint)
        self._note_header(worker.hello)
        self._fingerprint_ids[side] = worker.hello.fingerprint.id
        return worker

    def lose(self, side: Side) -> None:
        """Forgets the side's worker, dead or not to be trusted any more."""
        self.workers.drop(side)

    def _note_header(self, hello: HelloAnswer, *, begin: bool = False) -> None:
        if begin or hello.fingerprint.id not in self._known:
            self._known.add(hello.fingerprint.id)
            told = {**self._about, "started_at": time.time(), "fingerprint": hello.fingerprint}
            self.write([HeaderLine.model_validate(told)])
            for warning in hello.warnings:
                self.display.warn(warning)

    def know_ceilings(self, side: Side) -> None:
        """Has the ceilings measured once a run: what a visit exceeds is `implausible`."""
        if self._standing is not None and self._standing.ceilings:
            self.ceilings = self._standing.ceilings[-1]
            return
        self.display.note("measuring the machine's ceilings: copy, matrix multiplication, FFT, launch")
        try:
            answer = self.worker(side).ask(MeasureCeilings(), CeilingsAnswer, limit_s=self.limit_s(LEAST_LIMIT_S))
        except Refused as refused:
            self.display.warn(f"no ceilings, so nothing can be called implausible: {refused.reason}")
            if refused.worker_lost:
                self.workers.drop(side)
            return
        self.ceilings = answer.line
        self.write([answer.line])
        self._warn_of("ceilings", answer.line.warnings)

    def describe(self, side: Side, points: tuple[Point, ...]) -> None:
        """Asks for the analytic cost of points that it is not known of yet, and says what will make them slow."""
        unknown = tuple(point for point in points if self.ledger.cost(point) is None)
        if not unknown:
            return
        answer = self.worker(side).ask(Describe(points=unknown), DescribeAnswer, limit_s=self.limit_s(LEAST_LIMIT_S))
        for point, cost in zip(unknown, answer.costs, strict=True):
            self.ledger.know_cost(point, cost)
        self._warn_of(unknown[0].label, answer.cautions)

    def fingerprint_id(self, side: Side) -> str:
        """The fingerprint that the side's workers have; the run's own where none of them can be started, or none in time."""
        if side not in self._fingerprint_ids:
            if self.left_s <= 0:  # a side's of this session rather than the run's own, whose allocator may be another
                return next(iter(self._fingerprint_ids.values()), self.fingerprint.id)
            try:
                self.worker(side)
            except Refused:
                self._fingerprint_ids[side] = self.fingerprint.id
        return self._fingerprint_ids[side]

    def skip(
        self,
        points: Iterable[Point],
        outcome: Outcome,
        reason: str,
        *,
        side: Side,
        inferred: bool = False,
        predicted: Mapping[str, float] | None = None,
    ) -> None:
        """Journals why points are not timed."""
        fingerprint_id = self.fingerprint_id(side)
        self.write(
            SkipLine(
                point=point,
                outcome=outcome,
                reason=reason,
                inferred=inferred,
                predicted_s=(predicted or {}).get(point.id),
                fingerprint_id=fingerprint_id,
            )
            for point in points
        )

    def visit(self, iteration: Iteration, round_: int, order: int, *, beside: Sequence[Visit] = ()) -> bool:
        """Makes one visit, on a GPU at the clock of those `beside` it in its round, and journals what came of it.

        Returns:
            False where the budget's end cut it off: nothing is journaled then.
        """
        points = tuple(p for p in self.ledger.open_points(iteration) if not self.ledger.has(p, round_))
        if not points:
            return True
        first = not any(self.ledger.visits(point) for point in points)
        likely = next_rules(self.rules, iteration, self.ledger)
        predicted_s = visit_wall_s(self.ledger.call_s(iteration), likely, first=first)
        point_limit_s = self.patience_s(max(LEAST_LIMIT_S, LIMIT_FACTOR * predicted_s))
        begun_s = time.monotonic()
        self.display.begin_visit(iteration, round_, predicted_s)
        try:
            worker = self.worker(iteration.side)
            if first:
                self._before_first(worker, iteration, points, point_limit_s)
                worker = self.worker(iteration.side)
            rules = next_rules(self.rules, iteration, self.ledger)
            request = Measure(points=points, round=round_, order=order, rules=rules, ceilings=self.ceilings)
            limit_s = self.limit_s(point_limit_s + CEILINGS_LIMIT_S)
            ask = partial(worker.ask, request, MeasureAnswer, limit_s=limit_s, on_progress=self.display.progress)
            answer = at_one_clock(ask, beside if self.device == "cuda" else ())
        except Refused as refused:
            return self._refused(refused, iteration, points, round_, order)
        self._take(iteration, answer, time.monotonic() - begun_s)
        return True

    def _take(self, iteration: Iteration, answer: MeasureAnswer, wall_s: float) -> None:
        """Journals a visit, and the ceilings where it was held against better ones."""
        if answer.ceilings is not None:
            self.ceilings = answer.ceilings
            self.write([self.ceilings])
        self.write(answer.visits)
        failed = next((visit for visit in answer.visits if visit.outcome is not Outcome.OK), None)
        if failed is None:
            self.display.end_visit(iteration, answer.visits, wall_s)
        else:
            self.display.failed(iteration, failed.outcome, failed.reason or "")
        self._warn_of(str(iteration), answer.visits[0].warnings)

    def _warn_of(self, where: str, warnings: Iterable[str]) -> None:
        """Shows a warning of each kind once, as soon as it is met: ten minutes of contention are better cut short."""
        for kind, warning in ((warning.partition(":")[0], warning) for warning in warnings):
            if kind not in self._warned:
                self._warned.add(kind)
                self.display.warn(f"{where}: {warning}")

    def _before_first(self, worker: Worker, iteration: Iteration, points: tuple[Point, ...], limit_s: float) -> None:
        """Peak memory and costs, before a point's first visit."""
        answer = worker.ask(
            MeasureMemory(points=points), MemoryAnswer, limit_s=self.limit_s(limit_s), on_progress=self.display.progress
        )
        costs = ((point, self.ledger.cost(point)) for point in points)
        self.write((*answer.lines, *(CostLine(point=point, cost=cost) for point, cost in costs if cost is not None)))
        self.ledger.hint(iteration.call_point, answer.elapsed_s)
        self.checks.at_length(iteration, self.ledger.call_s(iteration), left_s=self.left_s, limit_s=limit_s)

    def _refused(
        self, refused: Refused, iteration: Iteration, points: tuple[Point, ...], round_: int, order: int
    ) -> bool:
        if refused.worker_lost:
            self.workers.drop(iteration.side)
        if self.cuts(refused):
            self.display.note(f"{iteration}: cut off at the end of the budget")
            return False
        if refused.outcome in {Outcome.UNSUPPORTED, Outcome.INCORRECT}:
            self.skip(points, refused.outcome, refused.reason, side=iteration.side)
        else:
            self.write(
                Visit(
                    point=point,
                    round=round_,
                    order=order,
                    outcome=refused.outcome,
                    reason=refused.reason,
                    started_at=time.time(),
                    fingerprint_id=self.fingerprint_id(iteration.side),
                )
                for point in points
            )
        self.display.failed(iteration, refused.outcome, refused.reason)
        return True

    def end(self, *, complete: bool, reason: str) -> None:
        """Journals how the session ended."""
        self.write([EndLine(complete=complete, reason=reason, elapsed_s=self.elapsed_s)])
        self.display.note(f"{reason} after {format_duration(self.elapsed_s)}")

    def close(self) -> None:
        """Ends the workers, scrubs what they printed, and lets go of journal and device."""
        self.workers.kill()
        scrub_log(self.folder / WORKER_LOG)
        self._journal.close()
        self._lock.release()
