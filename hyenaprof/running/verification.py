"""Implementations against their float64 definitions, outside any run: one worker for all, replaced where it is lost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hyenaprof.model import CheckEntry, CheckLine, Outcome, Point
from hyenaprof.pipe import Describe, DescribeAnswer, Verify, VerifyAnswer
from hyenaprof.records.scenario import Scenario
from hyenaprof.running.checks import CHECK_LIMIT_S, wrong
from hyenaprof.running.choice import possible_sides
from hyenaprof.running.plan import dtypes_on, pairings_at
from hyenaprof.running.workers import Refused, Side, Worker, Workers

DESCRIBE_LIMIT_S = 60.0
_ALL = Side("", "")
"""What the one worker serves."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of one implementation at one shape.

    Attributes:
        point: What was asked for.
        outcome: `ok` where all is within its tolerance, `incorrect` where it is not, else why it could not be checked.
        reason: In words, unless it is `ok`.
        check: Every error with its tolerance; None where it could not be checked.
        parameters: Learned parameters at this length; None where the operator could not be asked.
    """

    point: Point
    outcome: Outcome
    reason: str | None = None
    check: CheckLine | None = None
    parameters: int | None = None

    @property
    def red(self) -> bool:
        """Whether it is wrong, or broke down; what cannot run here is no fault of its own."""
        return self.outcome not in {Outcome.OK, Outcome.UNSUPPORTED}

    def entries(self, kind: str) -> tuple[CheckEntry, ...]:
        """Compared quantities of one kind: `output`, `gradient` or `causality`."""
        return tuple(entry for entry in (self.check.entries if self.check else ()) if entry.quantity.startswith(kind))

    def worst(self, kind: str) -> CheckEntry | None:
        """The entry of a kind that is furthest off in its tolerance; None where nothing of it was compared."""
        return max(self.entries(kind), key=lambda entry: entry.share, default=None)


def verification(scenario: Scenario, *, timeout_s: float | None = None) -> Iterator[Verified]:
    """Checks every implementation of a scenario's operators at each of its shapes, one after the other.

    The point's phase is forward: gradients are compared wherever the implementation has any. A worker that crashes or
    hangs is replaced, and what is left goes on with the new one.

    Args:
        scenario: Its operators, lengths, batches, widths, dtypes, scope and device; operators named alone are all of
            their implementations.
        timeout_s: Seconds after which an implementation that gives no answer is killed; None for 5 minutes.

    Raises:
        DeviceError: No such device.
        WorkerError: No worker can be started.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "worker.log"
        workers = Workers(device=scenario.device, protocol=scenario.protocol, log=log)
        try:
            desk = _Desk(workers, timeout_s or CHECK_LIMIT_S)
            device = desk.worker().hello.device_kind
            for side in possible_sides(scenario, {}):
                yield from _of_side(desk, _points(scenario, side, device))
        finally:
            workers.kill()


def _points(scenario: Scenario, side: Side, device: str) -> tuple[Point, ...]:
    return tuple(
        pairing.iterations[0].call_point
        for length in scenario.lengths
        for pairing in pairings_at(length, scenario, sides=(side,), dtypes=dtypes_on(device, scenario), device=device)
    )


@dataclass(slots=True)
class _Desk:
    """The one worker, and whether it has served anything that may have harmed it."""

    workers: Workers
    limit_s: float
    _served: set[str] = field(default_factory=set)

    def worker(self) -> Worker:
        return self.workers.get(_ALL)

    def verify(self, point: Point) -> CheckLine:
        """Verifies a point; where it takes down a worker that has served others, once more in a fresh one.

        Raises:
            Refused: It could not be checked.
        """
        others = self._served - {point.label}
        try:
            return self._ask(point)
        except Refused as refused:
            if not (refused.worker_lost and refused.outcome is Outcome.CRASHED and others):
                raise
        return self._ask(point)

    def _ask(self, point: Point) -> CheckLine:
        self._served.add(point.label)
        try:
            return self.worker().ask(Verify(point=point), VerifyAnswer, limit_s=self.limit_s).check
        except Refused as refused:
            self._forget(refused)
            raise

    def parameters(self, points: tuple[Point, ...]) -> tuple[int | None, ...]:
        """Learned parameters of each point by the operator's own formula; None where it has none to give."""
        try:
            costs = self.worker().ask(Describe(points=points), DescribeAnswer, limit_s=DESCRIBE_LIMIT_S).costs
        except Refused as refused:
            self._forget(refused)
            return (None,) * len(points)
        return tuple(cost.parameters for cost in costs)

    def _forget(self, refused: Refused) -> None:
        if refused.worker_lost:
            self.workers.drop(_ALL)
            self._served.clear()


def _of_side(desk: _Desk, points: tuple[Point, ...]) -> Iterator[Verified]:
    hung: Point | None = None
    for point, parameters in zip(points, desk.parameters(points), strict=True):
        if hung is not None:
            reason = f"not tried: no answer at L={hung.shape.length}, B={hung.shape.batch}"
            yield Verified(point, Outcome.TIMEOUT, reason, parameters=parameters)
            continue
        try:
            check = desk.verify(point)
        except Refused as refused:
            hung = point if refused.outcome is Outcome.TIMEOUT else None
            yield Verified(point, refused.outcome, refused.reason, parameters=parameters)
            continue
        if check.passed:
            yield Verified(point, Outcome.OK, check=check, parameters=parameters)
        else:
            off = wrong(check)
            yield Verified(point, off.outcome, off.reason, check, parameters)
