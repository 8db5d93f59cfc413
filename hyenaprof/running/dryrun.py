"""What a sweep would measure, in its order, and how long that would take; nothing is measured or written."""

from __future__ import annotations

from dataclasses import dataclass

from hyenaprof.errors import WorkerError
from hyenaprof.pipe import Describe, DescribeAnswer, VisitRules
from hyenaprof.records.journal import NAME, read_journal
from hyenaprof.records.scenario import Scenario
from hyenaprof.running.availability import lone_worker
from hyenaprof.running.choice import possible_sides
from hyenaprof.running.ledger import Ledger
from hyenaprof.running.plan import Iteration, dtypes_on, pairings_at
from hyenaprof.running.rounds import BREADTH_ROUNDS, still_needed_s
from hyenaprof.running.runner import SweepRequest, standing_run
from hyenaprof.running.workers import Refused, Side

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


def plan_of(request: SweepRequest) -> tuple[PlannedVisit, ...]:
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
    for point, cost in zip(points, costs, strict=True):
        ledger.know_cost(point, cost)
    return tuple(_planned(iteration, ledger, scenario) for iteration in iterations)


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
