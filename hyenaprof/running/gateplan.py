"""What a gate would measure, how long that would take, and what it could detect here; nothing is measured or written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hyenaprof.analysis.gate import judge
from hyenaprof.analysis.looks import RULES
from hyenaprof.errors import HyenaprofError
from hyenaprof.pipe import VisitRules
from hyenaprof.records.scenario import Scenario
from hyenaprof.records.store import load_run
from hyenaprof.records.tolerances import Tolerances
from hyenaprof.running.dryrun import plan_of
from hyenaprof.running.gate import BASE, CANDIDATE, PRECISION, VISIT_S, folders
from hyenaprof.running.ledger import visit_wall_s
from hyenaprof.running.plan import Iteration
from hyenaprof.running.runner import SweepRequest

WORKER_START_S = 3.0
"""Assumed of each worker before any was started."""


@dataclass(frozen=True, slots=True)
class PlannedIteration:
    """One iteration of a gate.

    Attributes:
        iteration: What would be measured, on both sides.
        call_s: Predicted seconds of one call.
        round_s: Predicted seconds of a round of it, both sides.
        detectable: Least slowdown that the last gate of this suite here would have flagged with 80 % power, as a
            fraction, the best of the phases read; None where no such gate stands here.
    """

    iteration: Iteration
    call_s: float
    round_s: float
    detectable: float | None


@dataclass(frozen=True, slots=True)
class GatePlan:
    """A gate before it is begun.

    Attributes:
        iterations: In the order of a round.
        rounds: At which it looks: the least and the most.
        round_s: Predicted seconds of a round of everything, workers' starts included.
        rests_on: Name of the run's folder that the spread was taken from, or None.
    """

    iterations: tuple[PlannedIteration, ...]
    rounds: tuple[int, int]
    round_s: float
    rests_on: str | None


def plan_gate(scenario: Scenario, *, tolerances: Tolerances) -> GatePlan:
    """Expands a suite, with predictions.

    Raises:
        HyenaprofError: As the gate itself would, before it begins.
    """
    rules = VisitRules(window_s=VISIT_S, precision=PRECISION)
    seen, rests_on = _last_seen(scenario, tolerances)
    planned = []
    for visit in plan_of(SweepRequest(scenario)).visits:
        known = [seen[point.id] for point in visit.iteration.points if point.id in seen]
        round_s = 2 * visit_wall_s(visit.call_s, rules, first=False)
        planned.append(PlannedIteration(visit.iteration, visit.call_s, round_s, min(known, default=None)))
    whole_s = sum(each.round_s for each in planned) + 2 * WORKER_START_S
    return GatePlan(tuple(planned), (RULES.looks[0], RULES.looks[-1]), whole_s, rests_on)


def _last_seen(scenario: Scenario, tolerances: Tolerances) -> tuple[dict[str, float], str | None]:
    """By point, what the last gate of this suite could detect, and where it stands."""
    for folder in reversed(folders(scenario)):
        try:
            base, candidate = (load_run(folder / name).records for name in (BASE, CANDIDATE))
        except HyenaprofError:  # begun and not come far
            continue
        verdicts = judge(base, candidate, tolerances=tolerances, closing=True).verdicts
        found = {v.point.id: v.detectable for v in verdicts if v.metric == "latency" and v.detectable is not None}
        if found:
            return found, Path(folder).name
    return {}, None
