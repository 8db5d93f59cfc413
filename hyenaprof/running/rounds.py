"""What a sweep measures next: breadth first, then where an interval or a crossover gains most. Pure decisions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from hyenaprof.analysis.refinement import more_rounds
from hyenaprof.analysis.stats import summarise
from hyenaprof.model import Crossover, Curve, Visit
from hyenaprof.pipe import VisitRules
from hyenaprof.running.ledger import Ledger, visit_wall_s
from hyenaprof.running.plan import Iteration, Pairing, Setting
from hyenaprof.running.resident import LEAST_LIVE
from hyenaprof.units import format_bytes, format_duration

BREADTH_ROUNDS = 3
CROSSOVER_ROUNDS = 5
CROSSOVER_SHARE = 1 / 3
"""Share of the budget that breadth leaves to the crossovers: lengths that only one side reaches come after them.

Of the default sweep's 10 minutes on a noisy 2-core CPU, a quarter left a forward interval of 1.16 octaves, and with 0.4
flash's training at 16384, which takes 115 s, was left out by 15 s.
"""
CLEARLY_BEHIND = 0.9
"""Ratio in the first round below which the incumbent leads for certain: one pair of visits is no better than 10 %."""
MOST_ROUNDS = 20
LONGEST_WARMED_S = 5.0
"""Longer calls are warmed up once a run, by the memory pass before their first visit, and memory is made present."""
ENERGY_WINDOW_S = 1.0
ENERGY_VISITS = 5
"""Visits of a point in which energy is read by calls of their own; what the samples themselves tell is always kept."""
CROSSOVER_PRECISION = 2.0
"""A crossover is precise enough at this many times the points' precision (half-width over length)."""


def in_order(iterations: Sequence[Iteration], round_: int, *, place: int = 0) -> tuple[Iteration, ...]:
    """The sides of a pairing in the round's order: A B, B A, and with more sides each comes first in turn.

    Args:
        iterations: The sides.
        round_: Which round.
        place: How many pairings of the round came before. Three sides share two workers, so that a side that was not
            among the last two must be started again: turning round from pairing to pairing starts one, not three.
    """
    shift = (round_ // 2) % max(1, len(iterations))
    turned = (*iterations[shift:], *iterations[:shift])
    turns = round_ + (place if len(iterations) > 2 else 0)
    return turned[::-1] if turns % 2 else turned


def still_needed_s(
    iterations: Iterable[Iteration], ledger: Ledger, rules: VisitRules, *, rounds: int = BREADTH_ROUNDS
) -> float:
    """Seconds until each of these iterations has so many rounds, as far as can be predicted."""
    total_s = 0.0
    for iteration in iterations:
        if not ledger.open_points(iteration):
            continue
        done = ledger.rounds(iteration)
        call_s = ledger.call_s(iteration)
        for number in range(done, rounds):
            energy_s = rules.energy_window_s if number < ENERGY_VISITS else 0.0
            these = rules.model_copy(update={"energy_window_s": energy_s})
            total_s += visit_wall_s(call_s, these, first=number == 0)
    return total_s


def starts_needed(pairings: Iterable[Pairing], ledger: Ledger, *, live: int = LEAST_LIVE) -> int:
    """Workers that a round of these pairings starts: one a side, and in each later pairing those that had to make room.

    At most `live` live at once; turning round from pairing to pairing (see `in_order`) finds the last ones alive.
    """
    open_ = [{it.side for it in pairing.iterations if ledger.open_points(it)} for pairing in pairings]
    put_out = sum(max(0, len(sides) - live) for sides in [sides for sides in open_ if sides][1:])
    return len(set().union(*open_)) + put_out


def precise(iteration: Iteration, ledger: Ledger, *, precision: float) -> bool:
    """Whether nothing of the iteration gains from another visit."""
    if ledger.rounds(iteration) >= MOST_ROUNDS:
        return True
    return all(_steady(ledger.visits(point), precision) for point in ledger.open_points(iteration))


def _steady(visits: tuple[Visit, ...], precision: float) -> bool:
    return bool(visits) and not summarise(visits, precision=precision).unstable


def next_rules(rules: VisitRules, iteration: Iteration, ledger: Ledger) -> VisitRules:
    """The rules of an iteration's next visit.

    A call of some seconds is warmed up in every visit: in a fresh process its first call takes up to twice as long.
    """
    energy_s = rules.energy_window_s if ledger.energies(iteration.call_point) < ENERGY_VISITS else 0.0
    warms_up = ledger.call_s(iteration) <= LONGEST_WARMED_S
    return rules.model_copy(update={"warm_calls": warms_up, "energy_window_s": energy_s})


def too_large(iteration: Iteration, ledger: Ledger, available_bytes: int) -> str | None:
    """Why an iteration cannot fit so much memory, by its analytic need; None where it can, or that is not known."""
    cost = ledger.cost(iteration.points[-1])
    if cost is None or cost.need_bytes <= available_bytes:
        return None
    return (
        f"needs about {format_bytes(cost.need_bytes)} by its formula, "
        f"{format_bytes(available_bytes)} may be used; not attempted"
    )


@dataclass(frozen=True, slots=True)
class Crossing:
    """A length, in tokens, beside a crossover that is not precise enough yet, and the iteration it was seen in."""

    setting: Setting
    length: int
    with_gradients: bool


def unsettled(crossovers: Iterable[Crossover], *, precision: float) -> frozenset[Crossing]:
    """The lengths around every crossover that is not precise enough yet.

    Args:
        crossovers: As they stand.
        precision: Half-width asked for of a crossover's interval, over its length.
    """
    return frozenset(
        crossing_at(length, crossover.challenger)
        for crossover in crossovers
        for length in more_rounds(crossover, precision=precision)
    )


def settling(
    pairings: Sequence[Pairing],
    ledger: Ledger,
    *,
    crossing: Collection[Crossing],
    between: Collection[Crossing] = (),
) -> tuple[Pairing, ...]:
    """Pairings around an unsettled crossover that another round would improve.

    They come before all others: short rounds around a crossover settle it while the budget lasts; with every imprecise point beside them a round of
    the default sweep takes 100 s, and the crossover had one round of its own (2-core CPU, 10 minutes).

    Args:
        pairings: Those that were begun.
        ledger: What is known.
        crossing: Lengths beside unsettled crossovers.
        between: Lengths that were added to bisect one.
    """

    def is_around(pairing: Pairing) -> bool:
        most = max(
            MOST_ROUNDS * (crossing_of(pairing) in crossing), CROSSOVER_ROUNDS * (crossing_of(pairing) in between)
        )
        return _rounds(pairing, ledger) < most

    return tuple(p for p in pairings if is_around(p))


def imprecise(pairings: Sequence[Pairing], ledger: Ledger, *, precision: float) -> tuple[Pairing, ...]:
    """Pairings with a point that another round would make more precise, the cheapest first.

    Args:
        pairings: Those that were begun.
        ledger: What is known.
        precision: Half-width asked for.
    """
    wanting = [p for p in pairings if not all(precise(it, ledger, precision=precision) for it in p.iterations)]
    return tuple(sorted(wanting, key=lambda p: _call_s(p, ledger)))


def crossing_of(pairing: Pairing) -> Crossing:
    """The pairing's length and kind of iteration."""
    return Crossing(pairing.setting, pairing.length, pairing.iterations[0].with_gradients)


def crossing_at(length: int, curve: Curve) -> Crossing:
    """A length of a curve's setting, and the kind of iteration that its phase is read from."""
    setting = Setting(curve.scope, curve.batch, curve.width, curve.heads, curve.dtype)
    return Crossing(setting, length, curve.phase.has_gradients)


def _rounds(pairing: Pairing, ledger: Ledger) -> int:
    live = [it for it in pairing.iterations if ledger.open_points(it)]
    return max((ledger.rounds(it) for it in live), default=MOST_ROUNDS)


def _call_s(pairing: Pairing, ledger: Ledger) -> float:
    return sum(ledger.call_s(it) for it in pairing.iterations)


def fitting(
    pairings: Sequence[Pairing],
    ledger: Ledger,
    rules: VisitRules,
    *,
    left_s: float,
    start_s: float,
    live: int = LEAST_LIVE,
) -> tuple[Pairing, ...]:
    """The first of these pairings that one round can visit in the time left, shortest length first.

    Args:
        pairings: In order of preference.
        ledger: What is known.
        rules: How a visit samples.
        left_s: Seconds left of the budget.
        start_s: Seconds that one of the round's fresh workers takes to start.
        live: Workers that may live at once.
    """
    chosen: list[Pairing] = []
    used_s = 0.0
    for pairing in pairings:
        cost_s = sum(
            visit_wall_s(ledger.call_s(it), next_rules(rules, it, ledger), first=not ledger.rounds(it))
            for it in pairing.iterations
            if ledger.open_points(it)
        )
        if used_s + cost_s + start_s * starts_needed([*chosen, pairing], ledger, live=live) <= left_s:
            chosen.append(pairing)
            used_s += cost_s
    return tuple(sorted(chosen, key=lambda p: p.length))


def leads_at_shortest(crossovers: Iterable[Crossover], shortest: int) -> bool:
    """Whether some challenger leads at the shortest length or is not clearly behind, so that the crossover may lie below."""
    first = [crossover.comparisons[0] for crossover in crossovers if crossover.comparisons]
    return any(comparison.length == shortest and comparison.ratio > CLEARLY_BEHIND for comparison in first)


def over_budget_reason(need_s: float, left_s: float) -> str:
    """Says why a point was left out.

    Args:
        need_s: Predicted seconds of its first visit, memory pass and check included.
        left_s: Seconds that were left at the end.
    """
    left = format_duration(max(0.0, left_s))
    said = f"its first visit is predicted to take about {format_duration(need_s)}, with {left} of the budget left"
    return said if need_s > left_s else f"{said}, which would not hold the rounds that belong to it"


def end_reason(left_s: float, *, cut: bool) -> str:
    """Why a session ended with something left to measure.

    Args:
        left_s: Seconds that were left of the budget.
        cut: Whether the budget's end cut something off.
    """
    if cut or left_s <= 0:
        return "the budget was reached"
    return f"what is left is predicted to take longer than the {format_duration(left_s)} left of the budget"
