"""What a sweep knows so far: visits, failures, costs; and from them, how long a call will take."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

from hyenaprof.analysis.scaling import nearest_length, predict_for_planning
from hyenaprof.model import Cost, Curve, JournalLine, Outcome, Phase, Point, Record, SkipLine, Visit
from hyenaprof.pipe import VisitRules
from hyenaprof.records.tables import assemble
from hyenaprof.running.plan import Iteration

UNSEEN_FLOPS_PER_S = {"cpu": 2e10, "cuda": 2e13, "fake": 1e11}
"""Rates assumed before anything was measured; low, so that a first visit is rather thought too long."""
LASTING = frozenset(Outcome) - {Outcome.OK, Outcome.OVER_BUDGET}


class Ledger:
    """The run's lines, and what follows from them for the plan."""

    def __init__(self, lines: Iterable[JournalLine] = ()) -> None:
        self._lines: list[JournalLine] = []
        self._visits: dict[str, dict[int, Visit]] = {}
        self._closed: dict[str, tuple[Outcome, str]] = {}
        self._costs: dict[str, Cost] = {}
        self._hints_s: dict[str, float] = {}
        self.add(lines)

    def add(self, lines: Iterable[JournalLine]) -> None:
        """Takes note of journal lines."""
        for line in lines:
            self._lines.append(line)
            if isinstance(line, Visit):
                self._visits.setdefault(line.point.id, {}).setdefault(line.round, line)
            if isinstance(line, Visit | SkipLine) and line.outcome in LASTING:
                self._closed.setdefault(line.point.id, (line.outcome, line.reason or ""))

    def know_cost(self, point: Point, cost: Cost) -> None:
        """Takes note of a point's analytic cost."""
        self._costs[point.id] = cost

    def hint(self, point: Point, call_s: float) -> None:
        """Takes note of an untimed call's rough duration in seconds; it steers the plan and enters no result."""
        self._hints_s[point.id] = call_s

    def expect_as(self, other: Ledger) -> None:
        """Hints at the seconds that another ledger's points took, to be planned by until they are measured here."""
        for point in other.visited():
            if (call_s := other._observed_s(point)) is not None:
                self.hint(point, call_s)

    def records(self) -> tuple[Record, ...]:
        """Everything known, put together by point."""
        return assemble(self._lines)

    def cost(self, point: Point) -> Cost | None:
        """The point's analytic cost, if it was asked for."""
        return self._costs.get(point.id)

    def visits(self, point: Point) -> tuple[Visit, ...]:
        """Good visits of a point."""
        return tuple(v for v in self._visits.get(point.id, {}).values() if v.outcome is Outcome.OK)

    def energies(self, point: Point) -> int:
        """Good visits of a point that told its energy."""
        return sum(visit.energy_j is not None for visit in self.visits(point))

    def visited(self) -> tuple[Point, ...]:
        """Points that a visit of stands in the journal, good or bad."""
        return tuple(next(iter(visits.values())).point for visits in self._visits.values())

    def has(self, point: Point, round_: int) -> bool:
        """Whether the point's visit of that round stands in the journal."""
        return round_ in self._visits.get(point.id, {})

    def closed(self, point: Point) -> tuple[Outcome, str] | None:
        """Why the point is not measured any more, if so: a lasting failure and its reason."""
        return self._closed.get(point.id)

    def open_points(self, iteration: Iteration) -> tuple[Point, ...]:
        """The iteration's points that have not failed."""
        return tuple(point for point in iteration.points if point.id not in self._closed)

    def rounds(self, iteration: Iteration) -> int:
        """Good visits that all open points of the iteration have."""
        return min((len(self.visits(point)) for point in self.open_points(iteration)), default=0)

    def next_round(self, iterations: Iterable[Iteration]) -> int:
        """The round that these iterations are in: the last one begun, where a kill left it unfinished, else a new one."""
        begun = [set(self._visits.get(p.id, ())) for it in iterations for p in self.open_points(it)]
        last = max((round_ for rounds in begun for round_ in rounds), default=-1)
        unfinished = last >= 0 and any(last not in rounds for rounds in begun)
        return last if unfinished else last + 1

    def call_s(self, iteration: Iteration) -> float:
        """Seconds of one call: measured, hinted at, or predicted from other lengths."""
        known = self._observed_s(iteration.call_point)
        if known is not None:
            return known
        if iteration.call_point.id in self._hints_s:
            return self._hints_s[iteration.call_point.id]
        return self.predicted_s(iteration)

    def has_seen(self, iteration: Iteration) -> bool:
        """Whether any length of the iteration's curve was measured, so that a prediction rests on something."""
        return bool(self._curve_s(iteration.call_point.curve))

    def predicted_s(self, iteration: Iteration) -> float:
        """Seconds of one call, predicted from the fastest clean visits at other lengths and the analytic cost."""
        point = iteration.call_point
        observed = self._curve_s(point.curve)
        if not observed:
            cost = self.cost(iteration.points[-1])
            return cost.flops / UNSEEN_FLOPS_PER_S.get(point.device, 2e10) if cost else 1.0
        nearest = nearest_length(observed, point.shape.length)
        return predict_for_planning(observed, point.shape.length, self._cost_ratio(iteration, nearest))

    def _cost_ratio(self, iteration: Iteration, nearest: int) -> float:
        point = iteration.points[-1]
        here, there = self.cost(point), self.cost(point.at(nearest))
        if here is None or there is None or not there.flops:
            return point.shape.length / nearest
        return max(here.flops / there.flops, here.bytes / there.bytes if there.bytes else 0.0)

    def _curve_s(self, curve: Curve) -> dict[int, float]:
        """Seconds of one call by length, where anything of it was measured."""
        read_from = {curve.phase, Phase.BACKWARD} if curve.phase is Phase.TRAINING else {curve.phase}
        found: dict[int, float] = {}
        for visits in self._visits.values():
            point = next(iter(visits.values())).point
            if point.phase in read_from and point.reading(curve.phase).curve == curve:
                call_s = self._observed_s(point.reading(curve.phase))
                if call_s is not None:
                    found[point.shape.length] = call_s
        return found

    def _observed_s(self, point: Point) -> float | None:
        """Fastest visit median; a run that reads `backward` alone takes half as much again for its forward."""
        visits = self.visits(point)
        if visits:
            return min(median(visit.clean_s) for visit in visits)
        backward = self.visits(point.reading(Phase.BACKWARD)) if point.phase is Phase.TRAINING else ()
        return 1.5 * min(median(visit.clean_s) for visit in backward) if backward else None


def visit_wall_s(call_s: float, rules: VisitRules, *, first: bool) -> float:
    """Seconds a visit will take: warm-up, samples, energy, and in a point's first visit the memory pass and the check.

    Args:
        call_s: Seconds of one call.
        rules: Of this visit: without an energy window it reads no energy.
        first: Whether it is the point's first.
    """
    warm_ups = 1.0 if call_s > rules.window_s else 4.0
    samples_s = call_s if call_s > rules.window_s else max(rules.window_s, call_s * rules.floor_samples)
    extra = 3.5 if first else 0.0
    return samples_s + call_s * (warm_ups + extra) + _energy_wall_s(call_s, samples_s, rules) + 0.1


def _energy_wall_s(call_s: float, samples_s: float, rules: VisitRules) -> float:
    """Seconds of whole calls made for their energy alone; none where the samples fill the window themselves."""
    window_s = rules.energy_window_s
    if samples_s >= window_s:
        return 0.0
    return math.ceil(window_s / call_s) * call_s if call_s > 0 else window_s
