"""The loop of a sweep: breadth first, then where it gains most, until precise or out of budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from hyenaprof.analysis.crossover import find_all
from hyenaprof.analysis.refinement import next_lengths
from hyenaprof.model import Crossover, Outcome, Visit
from hyenaprof.records.scenario import SHORTEST
from hyenaprof.running import rounds
from hyenaprof.running.ledger import visit_wall_s
from hyenaprof.running.plan import Iteration, Pairing, pairings_at
from hyenaprof.running.session import Session
from hyenaprof.running.workers import Refused, Side
from hyenaprof.units import format_length

REFINE_MULTIPLE = 64
"""Bisection lengths are multiples of this many tokens."""


class Sweep:
    """The loop over rounds.

    Args:
        session: Where visits are made and journaled.
        sides: What is compared.
        refine: Whether crossovers are bisected.
    """

    def __init__(self, session: Session, sides: Sequence[Side], *, refine: bool) -> None:
        self._session = session
        self._ledger = session.ledger
        self._sides = tuple(sides)
        self._refine = refine and session.scenario.rounds is None
        self._pairings: dict[int, tuple[Pairing, ...]] = {}
        self._left_out: dict[Iteration, float] = {}
        """Iterations over the budget, with the predicted seconds of one call."""
        self._between: set[rounds.Crossing] = set()
        """Lengths that were added to bisect a crossover."""
        self._places: Counter[int] = Counter()
        """Pairings come to so far, by round."""
        self._cut: set[Side] = set()
        """Sides that were still being looked at when the budget ended."""
        self._told: set[Side] = set()
        """Sides whose failure before the first visit was shown already."""

    def measure(self) -> None:
        """Measures every affordable length, then around each crossover until it is settled or the budget is spent."""
        self._reopen()
        self._breadth()
        if self._session.scenario.rounds is None:
            self._depth(self._settling)

    def end(self) -> None:
        """Makes points more precise and tries what was left out, with the time that is left; journals what could not be."""
        if self._session.scenario.rounds is None:
            self._depth(self._imprecise)
            self._retry_left_out()
        self._finish()

    def _reopen(self) -> None:
        """Lengths beside the grid's that an earlier session of this run went to."""
        lengths = self._session.scenario.lengths
        for point in self._ledger.visited():
            length = point.shape.length
            if length not in lengths and length > lengths[0]:
                self._between.add(rounds.crossing_at(length, point.curve))
            if length not in lengths:
                self._open(length)

    # -- breadth: the first rounds of every affordable length, shortest first

    def _breadth(self) -> None:
        rounds_wanted = self._session.scenario.rounds or rounds.BREADTH_ROUNDS
        for round_ in range(rounds_wanted):
            if round_:
                self._session.workers.renew()
            for length in self._session.scenario.lengths:
                self._open(length)
                self._visit_length(length, round_, rounds_wanted)
                if length == self._session.scenario.lengths[0]:
                    self._extend_below(round_, rounds_wanted)

    def _extend_below(self, round_: int, rounds_wanted: int) -> None:
        """Halves the shortest length while the incumbent does not clearly lead there, and does the round at those."""
        scenario = self._session.scenario
        added = [length for length in self._pairings if length < scenario.lengths[0]]
        for length in sorted(added, reverse=True):
            self._visit_length(length, round_, rounds_wanted)
        shortest = min(self._pairings)
        while round_ == 0 and scenario.extend_below and shortest // 2 >= SHORTEST:
            if not rounds.leads_at_shortest(self.crossovers(), shortest):
                return
            shortest //= 2
            self._session.display.note(
                f"the incumbent does not clearly lead at {shortest * 2}: going down to {shortest}"
            )
            self._open(shortest)
            self._visit_length(shortest, round_, rounds_wanted)

    def _open(self, length: int) -> None:
        """Expands a length: costs asked for, sides that were found wrong closed, memory looked at."""
        if length in self._pairings:
            return
        session = self._session
        self._pairings[length] = pairings_at(
            length, session.scenario, sides=self._sides, dtypes=session.dtypes, device=session.device
        )
        # Side by side, not pairing by pairing: where three sides share two workers, every change of side starts one.
        for iteration in sorted(self._iterations(self._pairings[length]), key=lambda it: self._sides.index(it.side)):
            if session.left_s <= 0:
                self._cut.add(iteration.side)
            if iteration.side not in self._cut and self._described(iteration):
                self._judge(iteration)

    def _described(self, iteration: Iteration) -> bool:
        try:
            self._session.describe(iteration.side, iteration.points)
        except Refused as refused:
            self._close(iteration, refused)
            return False
        return True

    def _judge(self, iteration: Iteration) -> None:
        """Closes an iteration that is known not to work before it is tried."""
        points = self._ledger.open_points(iteration)
        if not points or any(self._ledger.visits(point) for point in points):
            return
        reason = rounds.too_large(iteration, self._ledger, self._session.available_bytes) or self._out_of_memory_before(
            iteration
        )
        if reason and not self._session.force:
            self._session.skip(points, Outcome.OOM, reason, side=iteration.side, inferred=True)
            return
        self._verify(iteration)

    def _verify(self, iteration: Iteration) -> None:
        try:
            self._session.checks.verify(iteration)
        except Refused as refused:
            self._close(iteration, refused)

    def _close(self, iteration: Iteration, refused: Refused) -> None:
        """Journals that an iteration is not tried, and tells of it once a side."""
        if refused.worker_lost:
            self._session.workers.drop(iteration.side)
        if self._session.cuts(refused):
            self._cut.add(iteration.side)
            return
        self._session.skip(self._ledger.open_points(iteration), refused.outcome, refused.reason, side=iteration.side)
        if iteration.side not in self._told:
            self._told.add(iteration.side)
            self._session.display.failed(iteration, refused.outcome, refused.reason)

    def _out_of_memory_before(self, iteration: Iteration) -> str | None:
        point = iteration.points[0]
        for length in sorted(self._pairings):
            closed = self._ledger.closed(point.at(length)) if length < point.shape.length else None
            if closed is not None and closed[0] is Outcome.OOM:
                return f"out of memory at {format_length(length)} already; not attempted"
        return None

    def _visit_length(self, length: int, round_: int, rounds_wanted: int) -> None:
        for pairing in self._pairings[length]:
            place = self._places[round_]
            self._places[round_] += 1
            for order, iteration in enumerate(rounds.in_order(pairing.iterations, round_, place=place)):
                if self._affordable(iteration, round_, rounds_wanted):
                    self._visit(iteration, round_, order)

    def _affordable(self, iteration: Iteration, round_: int, rounds_wanted: int) -> bool:
        """Whether the iteration can have all its rounds beside those already begun; notes it where not."""
        points = self._ledger.open_points(iteration)
        if not points or iteration.side in self._cut or all(self._ledger.has(point, round_) for point in points):
            return False
        session = self._session
        begun = [it for it in self._iterations(self._all_pairings()) if self._ledger.rounds(it) and it != iteration]
        starts_s = self._starts(iteration, round_, rounds_wanted) * session.workers.start_s
        need_s = rounds.still_needed_s([iteration], self._ledger, session.rules, rounds=rounds_wanted)
        committed_s = rounds.still_needed_s(begun, self._ledger, session.rules, rounds=rounds_wanted)
        session.display.clock(session.left_s, committed_s + need_s + starts_s)
        if not self._ledger.rounds(iteration) and committed_s + need_s + starts_s + self._kept_s > session.left_s:
            self._left_out[iteration] = self._ledger.call_s(iteration)
            return False
        return self._fits(iteration)

    @property
    def _kept_s(self) -> float:
        """Seconds of the budget that breadth leaves to the crossovers."""
        return rounds.CROSSOVER_SHARE * self._session.scenario.budget if self._refine else 0.0

    def _starts(self, iteration: Iteration, round_: int, rounds_wanted: int) -> int:
        """Workers still to be started: in the rounds to come, and in what is left of this one."""
        taking_part = [p for p in self._all_pairings() if iteration in p.iterations or self._visited(p)]
        left = [p for p in taking_part if not all(self._ledger.has(it.points[0], round_) for it in p.iterations)]
        live = self._session.workers.live
        now = rounds.starts_needed(left, self._ledger, live=live) if len(self._sides) > live else 0
        return now + (rounds_wanted - 1 - round_) * rounds.starts_needed(taking_part, self._ledger, live=live)

    def _visited(self, pairing: Pairing) -> bool:
        return any(self._ledger.rounds(it) for it in pairing.iterations)

    def _all_pairings(self) -> list[Pairing]:
        return [pairing for pairings in self._pairings.values() for pairing in pairings]

    def _fits(self, iteration: Iteration) -> bool:
        first = not self._ledger.rounds(iteration)
        call_s = self._ledger.call_s(iteration)
        rules = rounds.next_rules(self._session.rules, iteration, self._ledger)
        if visit_wall_s(call_s, rules, first=first) <= self._session.left_s:
            return True
        if first:
            self._left_out[iteration] = call_s
        return False

    def _visit(self, iteration: Iteration, round_: int, order: int) -> None:
        self._session.workers.room_bytes = self._room_bytes(iteration)
        if self._session.visit(iteration, round_, order, beside=self._beside(iteration, round_)):
            self._left_out.pop(iteration, None)
        else:
            self._left_out[iteration] = self._ledger.call_s(iteration)

    def _beside(self, iteration: Iteration, round_: int) -> tuple[Visit, ...]:
        """The visits of that round that the sides before this one made."""
        others = (it for it in self._pairing_of(iteration).iterations if it != iteration)
        return tuple(visit for it in others for visit in self._ledger.visits(it.points[0]) if visit.round == round_)

    def _room_bytes(self, iteration: Iteration) -> float:
        """Memory that living workers may keep: on a CPU half of what a visit leaves; a GPU's is not theirs to hold."""
        session = self._session
        if session.device not in {"cpu", "fake"}:
            return 0.0
        costs = [self._ledger.cost(point) for point in iteration.points]
        need_bytes = max((cost.need_bytes for cost in costs if cost is not None), default=0.0)
        return max(0.0, session.available_bytes - need_bytes) / 2

    # -- depth: where an interval or a crossover gains most

    def _depth(self, wanting: Callable[[], tuple[Pairing, ...]]) -> None:
        session = self._session
        while session.left_s > 0:
            wanted = wanting()
            chosen = rounds.fitting(
                wanted,
                self._ledger,
                session.rules,
                left_s=session.left_s,
                start_s=session.workers.start_s,
                live=session.workers.live,
            )
            if not chosen:
                return
            self._round(chosen)

    def _settling(self) -> tuple[Pairing, ...]:
        """What another round would improve around the crossovers, lengths that bisect them opened."""
        crossovers = self.crossovers()
        crossing = rounds.unsettled(crossovers, precision=self._crossover_precision)
        if self._refine and crossing:
            self._open_between(crossovers)
        return rounds.settling(self._all_begun(), self._ledger, crossing=crossing, between=self._between)

    def _imprecise(self) -> tuple[Pairing, ...]:
        """What another round would improve anywhere; first around a crossover that has become unsettled again."""
        return self._settling() or rounds.imprecise(self._all_begun(), self._ledger, precision=self._session.precision)

    def _all_begun(self) -> list[Pairing]:
        return [pairing for pairing in self._all_pairings() if self._begun(pairing)]

    @property
    def _crossover_precision(self) -> float:
        return rounds.CROSSOVER_PRECISION * self._session.precision

    def _begun(self, pairing: Pairing) -> bool:
        """Whether the pairing takes part in depth: all its sides were measured there, or a crossover asked for it."""
        live = [it for it in pairing.iterations if self._ledger.open_points(it)]
        if not live or any(it in self._left_out for it in live):
            return False
        return rounds.crossing_of(pairing) in self._between or all(self._ledger.rounds(it) for it in live)

    def _open_between(self, crossovers: Sequence[Crossover]) -> None:
        for crossover in crossovers:
            for length in next_lengths(crossover, multiple=REFINE_MULTIPLE):
                asked = rounds.crossing_at(length, crossover.challenger)
                if asked not in self._between:
                    self._between.add(asked)
                    self._session.display.note(f"{crossover.challenger.phase}: refining the crossover at {length}")
                    self._open(length)

    def _round(self, chosen: Sequence[Pairing]) -> None:
        self._session.workers.renew()
        for place, pairing in enumerate(chosen):
            round_ = self._ledger.next_round(pairing.iterations)
            for order, iteration in enumerate(rounds.in_order(pairing.iterations, round_, place=place)):
                self._session.display.clock(self._session.left_s, None)
                if self._ledger.open_points(iteration) and self._fits(iteration):
                    self._visit(iteration, round_, order)

    def _retry_left_out(self) -> None:
        """Points over the budget are tried again with the time that is left, cheapest first, if only for one visit."""
        for iteration in sorted(self._left_out, key=self._left_out.__getitem__):
            if self._ledger.open_points(iteration) and self._fits(iteration):
                self._visit(iteration, self._ledger.next_round(self._pairing_of(iteration).iterations), 0)

    def _pairing_of(self, iteration: Iteration) -> Pairing:
        return next(p for p in self._pairings[iteration.length] if iteration in p.iterations)

    # -- the end

    def _finish(self) -> None:
        session = self._session
        for iteration, call_s in self._left_out.items():
            points = [p for p in self._ledger.open_points(iteration) if not self._ledger.visits(p)]
            if points:
                need_s = visit_wall_s(call_s, session.rules, first=True)
                session.skip(
                    points,
                    Outcome.OVER_BUDGET,
                    rounds.over_budget_reason(need_s, session.left_s),
                    side=iteration.side,
                    predicted=self._predicted(iteration),
                )
        self._leave_unseen()
        complete = self._complete()
        failed = sum(record.outcome is not Outcome.OK for record in self._ledger.records())
        reason = "nothing is left to measure" if complete else rounds.end_reason(session.left_s, cut=bool(self._cut))
        session.end(complete=complete, reason=f"{reason}; points not measured: {failed}" if failed else reason)

    def _leave_unseen(self) -> None:
        """Journals every point of a side that was cut off which was neither visited nor left out already."""
        for iteration in self._iterations([p for held in self._pairings.values() for p in held if self._asked(p)]):
            points = [point for point in self._ledger.open_points(iteration) if not self._ledger.visits(point)]
            if points and iteration.side in self._cut and iteration not in self._left_out:
                reason = "the budget ended before it could be looked at"
                self._session.skip(points, Outcome.OVER_BUDGET, reason, side=iteration.side)

    def _predicted(self, iteration: Iteration) -> dict[str, float]:
        """Seconds of one call by the id of the point that reads the whole call; nothing where it would be a guess."""
        if not self._ledger.has_seen(iteration):
            return {}
        return {iteration.call_point.id: self._ledger.predicted_s(iteration)}

    def _complete(self) -> bool:
        """Whether nothing is left that more time could improve."""
        if self._cut or any(self._ledger.open_points(it) for it in self._left_out):
            return False
        asked = [pairing for pairing in self._all_pairings() if self._asked(pairing)]
        return all(self._satisfied(it) for it in self._iterations(asked) if self._ledger.open_points(it))

    def _asked(self, pairing: Pairing) -> bool:
        """Whether the grid holds the pairing, or a crossover asked for it; its length's other phases need not be.

        Where so many rounds are asked for, an earlier session's lengths around a crossover are not.
        """
        if pairing.length not in {b.length for b in self._between}:
            return True
        return self._session.scenario.rounds is None and rounds.crossing_of(pairing) in self._between

    def _satisfied(self, iteration: Iteration) -> bool:
        rounds_wanted = self._session.scenario.rounds
        if rounds_wanted is not None:
            return self._ledger.rounds(iteration) >= rounds_wanted
        return rounds.precise(iteration, self._ledger, precision=self._session.precision)

    def crossovers(self) -> list[Crossover]:
        """Crossovers as they stand."""
        return find_all(self._ledger.records())

    @staticmethod
    def _iterations(pairings: Sequence[Pairing]) -> list[Iteration]:
        return [iteration for pairing in pairings for iteration in pairing.iterations]
