"""Right before fast: each implementation verified once a run, and its core again at every length that is timed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from hyenaprof.model import CheckLine, JournalLine, Outcome, Phase, Point, Scope
from hyenaprof.pipe import Verify, VerifyAnswer
from hyenaprof.running.plan import Iteration
from hyenaprof.running.progress import Display
from hyenaprof.running.workers import Refused, Side, Worker

CHECK_LENGTH = 127
"""Odd and prime: a transform that wraps round or a tile that is assumed whole shows here."""
CHECK_LIMIT_S = 300.0
AT_LENGTH_LIMIT_S = 30.0
"""A check at the timed length that would take longer is left out; the report says up to which length was checked."""
CHECK_CALLS = 3.0
"""A check at length costs about so many calls of the iteration."""


class Bench(Protocol):
    """What checks need of a session."""

    display: Display

    @property
    def with_gradients(self) -> bool:
        """Whether any phase that is read runs the backward pass."""

    def lose(self, side: Side) -> None:
        """Forgets the side's worker, dead or not to be trusted any more."""

    def limit_s(self, wanted_s: float) -> float:
        """Seconds that a request may take."""

    def patience_s(self, usual_s: float) -> float:
        """Seconds that an operator's code may take to answer."""

    def worker(self, side: Side) -> Worker:
        """The side's worker."""

    def write(self, lines: Iterable[JournalLine]) -> None:
        """Journals lines."""


class Checks:
    """What was verified in this run, and what is to be.

    Args:
        bench: The session.
        standing: Checks that stand in the journal already.
    """

    def __init__(self, bench: Bench, standing: Sequence[CheckLine]) -> None:
        self._bench = bench
        self._done: dict[Point, CheckLine] = {check.point: check for check in standing}
        self._refused: dict[Point, Refused] = {}
        self._given_up: set[Point] = set()
        self._forward_only: set[Side] = set()
        """Sides that refused to be checked with gradients and not without."""

    def made_by(self, bench: Bench) -> Checks:
        """The same checks, those to come made by another session's workers."""
        return Checks(bench, tuple(self._done.values()))

    def verify(self, iteration: Iteration) -> None:
        """Holds an implementation against its float64 definition at a short odd length, once a run.

        Raises:
            Refused: It is wrong, or could not be run there.
        """
        try:
            self._verify(iteration)
        except Refused as refused:
            without = self._bench.with_gradients and not iteration.with_gradients
            if refused.outcome is not Outcome.UNSUPPORTED or not without:
                raise
            self._forward_only.add(iteration.side)
            self._verify(iteration)

    def _verify(self, iteration: Iteration) -> None:
        shape = iteration.call_point.shape
        small = self._as_checked(
            iteration, shape=shape.at(CHECK_LENGTH).model_copy(update={"batch": min(2, shape.batch)})
        )
        if small in self._refused:
            raise self._refused[small]
        if small not in self._done:
            self._bench.display.note(f"verifying {small.label} against its float64 definition")
            try:
                self._ask_twice(iteration.side, Verify(point=small), limit_s=self._bench.patience_s(CHECK_LIMIT_S))
            except Refused as refused:
                told = refused.outcome is Outcome.UNSUPPORTED
                reason = refused.reason if told else f"while being verified: {refused.reason}"
                self._refused[small] = Refused.of(refused.outcome, reason)
                raise self._refused[small] from refused
        if not self._done[small].passed:
            raise wrong(self._done[small])

    def at_length(self, iteration: Iteration, call_s: float, *, left_s: float, limit_s: float) -> None:
        """Checks the operator's core at the length that is timed, once a length, where that is affordable.

        Args:
            iteration: What is about to be timed.
            call_s: Seconds that one call of it takes.
            left_s: Seconds left of the budget.
            limit_s: Seconds after which the worker is killed.

        A check that cannot be made (out of memory, too long, a crash) says nothing of the point: it is noted, no more.

        Raises:
            Refused: It is wrong there.
        """
        core = self._as_checked(iteration, scope=Scope.CORE)
        if core in self._given_up:
            return
        if core not in self._done:
            if CHECK_CALLS * call_s > min(AT_LENGTH_LIMIT_S, left_s / 4):
                return
            try:
                self._ask(iteration.side, Verify(point=core, at_length=True), limit_s=limit_s)
            except Refused as refused:
                if refused.outcome is Outcome.INCORRECT:
                    raise
                self._give_up(iteration.side, core, refused)
                return
        if not self._done[core].passed:
            raise wrong(self._done[core])

    def _give_up(self, side: Side, core: Point, refused: Refused) -> None:
        self._given_up.add(core)
        if refused.worker_lost:
            self._bench.lose(side)
        self._bench.display.note(f"{core.label} L={core.shape.length}: not checked at this length: {refused.reason}")

    def _ask_twice(self, side: Side, request: Verify, *, limit_s: float) -> None:
        """Asks once more where the worker died: whatever killed it need not have been the operator."""
        try:
            self._ask(side, request, limit_s=limit_s)
        except Refused as refused:
            if not refused.worker_lost:
                raise
            self._bench.lose(side)
            if refused.outcome is not Outcome.CRASHED:
                raise Refused.of(refused.outcome, refused.reason) from refused
            self._bench.display.note(f"{request.point.label}: {refused.reason}; once more with a new worker")
            self._ask_last(side, request, limit_s=limit_s)

    def _ask_last(self, side: Side, request: Verify, *, limit_s: float) -> None:
        try:
            self._ask(side, request, limit_s=limit_s)
        except Refused as refused:
            if refused.worker_lost:
                self._bench.lose(side)
            raise

    def _ask(self, side: Side, request: Verify, *, limit_s: float) -> None:
        check = (
            self._bench.worker(side)
            .ask(
                request,
                VerifyAnswer,
                limit_s=self._bench.limit_s(limit_s),
                on_progress=self._bench.display.progress,
            )
            .check
        )
        self._done[request.point] = check
        self._bench.write([check])

    def _as_checked(self, iteration: Iteration, **changes: object) -> Point:
        """The point checked in the iteration's stead: with gradients wherever the run reads any and there are any."""
        learns = self._bench.with_gradients and (iteration.with_gradients or iteration.side not in self._forward_only)
        phase = Phase.TRAINING if learns else iteration.call_point.phase
        return Point.model_validate({**dict(iteration.call_point), "phase": phase, **changes})


def wrong(check: CheckLine) -> Refused:
    """The outcome `incorrect` with the worst entry of a red check."""
    worst = check.worst
    error = "not finite" if worst.error is None else f"error {worst.error:.2g}, tolerance {worst.tolerance:.0e}"
    where = f"L={check.point.shape.length}"
    return Refused.of(Outcome.INCORRECT, f"{worst.quantity}: {error} at {where}, by {check.method}")
