"""What a sweep would measure, in its order, and how long that would take; nothing is measured or written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hyenaprof.errors import WorkerError
from hyenaprof.pipe import Availability, AvailabilityAnswer, Describe, DescribeAnswer, ImplementationStatus, VisitRules
from hyenaprof.records.journal import NAME, read_journal
from hyenaprof.records.scenario import Scenario
from hyenaprof.running.availability import LIMIT_S as AVAILABILITY_LIMIT_S
from hyenaprof.running.availability import lone_worker
from hyenaprof.running.choice import possible_sides
from hyenaprof.running.ledger import Ledger
from hyenaprof.running.plan import Iteration, dtypes_on, pairings_at
from hyenaprof.running.rounds import BREADTH_ROUNDS, still_needed_s
from hyenaprof.running.runner import SweepRequest, standing_run
from hyenaprof.running.workers import Refused, Side, Worker

LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """One iteration in the order of the first round.

    Attributes:
        iteration: What would be measured.
        call_s: Predicted seconds of one call.
        rounds_s: Predicted seconds of its first three rounds (or of those asked for).
        measured: Whether the prediction rests on visits that stand in the run's folder.
        need_bytes: Estimated peak memory.
    """

    iteration: Iteration
    call_s: float
    rounds_s: float
    measured: bool
    need_bytes: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep would do.

    Attributes:
        visits: In the order of the first round, of what can be had here.
        absent: What was asked for and cannot be had here.
        alone: Operators of whose implementations only the fastest would be measured.
    """

    visits: tuple[PlannedVisit, ...]
    absent: tuple[ImplementationStatus, ...]
    alone: tuple[str, ...]


def plan_of(request: SweepRequest) -> Plan:
    """Expands a scenario in a sweep's order, with predictions.

    Raises:
        HyenaprofError: As the sweep itself would, before it begins.
    """
    scenario = request.scenario
    sides = possible_sides(scenario, request.pythons or {})
    folder, standing = standing_run(request)
    ledger = Ledger(read_journal(folder / NAME)[0] if standing else ())
    with lone_worker(scenario.device, scenario.protocol) as worker:
        iterations = _iterations(scenario, sides, worker.hello.device_kind)
        points = tuple(point for iteration in iterations for point in iteration.points)
        try:
            costs = worker.ask(Describe(points=points), DescribeAnswer, limit_s=LIMIT_S).costs
        except Refused as refused:
            raise WorkerError(f"no plan: {refused.reason}", hint="`hyenaprof list` shows what runs here") from None
        absent = _absent(worker, sides)
    for point, cost in zip(points, costs, strict=True):
        ledger.know_cost(point, cost)
    gone = {(status.operator, status.implementation) for status in absent}
    here = [side for side in sides if (side.operator, side.implementation) not in gone]
    counted = Counter(side.operator for side in here)
    return Plan(
        visits=tuple(_planned(it, ledger, scenario) for it in iterations if it.side in here),
        absent=absent,
        alone=tuple(name for name, one in scenario.operators.items() if not one.implementations and counted[name] > 1),
    )


def _absent(worker: Worker, sides: Sequence[Side]) -> tuple[ImplementationStatus, ...]:
    """What of this environment cannot be built and called on a tiny problem; nothing where asking went wrong."""
    own = {(side.operator, side.implementation) for side in sides if side.python is None}
    request = Availability(
        operators=tuple(dict.fromkeys(side.operator for side in sides)),
        implementations=tuple(dict.fromkeys(side.implementation for side in sides)),
    )
    try:
        statuses = worker.ask(request, AvailabilityAnswer, limit_s=AVAILABILITY_LIMIT_S).statuses
    except Refused:
        return ()
    return tuple(s for s in statuses if not s.available and (s.operator, s.implementation) in own)


def _iterations(scenario: Scenario, sides: tuple[Side, ...], device: str) -> tuple[Iteration, ...]:
    dtypes = dtypes_on(device, scenario)
    return tuple(
        iteration
        for length in scenario.lengths
        for pairing in pairings_at(length, scenario, sides=sides, dtypes=dtypes, device=device)
        for iteration in pairing.iterations
    )


def _planned(iteration: Iteration, ledger: Ledger, scenario: Scenario) -> PlannedVisit:
    cost = ledger.cost(iteration.points[-1])
    return PlannedVisit(
        iteration,
        call_s=ledger.call_s(iteration),
        rounds_s=still_needed_s([iteration], ledger, VisitRules(), rounds=scenario.rounds or BREADTH_ROUNDS),
        measured=bool(ledger.visits(iteration.points[0])),
        need_bytes=cost.need_bytes if cost else None,
    )
