from __future__ import annotations

from collections import Counter

import pytest
from builders import make_point, make_visit
from sweeps import make_iteration, make_pairing, visited

from hyenaprof.model import Comparison, Crossover, CrossoverState, Flip, Outcome, Phase
from hyenaprof.pipe import VisitRules
from hyenaprof.running import rounds
from hyenaprof.running.ledger import Ledger, visit_wall_s

RULES = VisitRules(window_s=0.5)


def at(length, *, with_gradients=False):
    """The crossing of the builders' own setting."""
    phase = Phase.TRAINING if with_gradients else Phase.FORWARD
    return rounds.crossing_at(length, make_point(phase=phase).curve)


FORWARD_AT_2K, GRADIENTS_AT_2K = at(2048), at(2048, with_gradients=True)


def flip(low=1400.0, high=1500.0, bracket=(1024, 2048), length=1450.0):
    return Flip(length=length, low=low, high=high, bracket=bracket, significant=bracket, leader_after="hyena:fft")


def crossover(*flips, phase=Phase.FORWARD, comparisons=()):
    return Crossover(
        make_point("hyena", phase=phase).curve,
        make_point("flash", phase=phase).curve,
        "latency",
        CrossoverState.RESOLVED,
        flips=flips,
        comparisons=comparisons,
    )


def comparison(length, ratio):
    return Comparison(length=length, ratio=ratio, low=ratio * 0.99, high=ratio * 1.01, rounds=5)


def steadily(ledger, pairing, *, number=6, latency_s=1e-3):
    """Visits so alike that nothing is gained by more."""
    for iteration in pairing.iterations:
        visited(ledger, iteration, latency_s, rounds=range(number))


def orders(sides, count):
    iterations = tuple(make_iteration(name) for name in sides)
    return ["".join(it.side.operator[0] for it in rounds.in_order(iterations, number)) for number in range(count)]


def test_two_sides_take_turns_in_going_first():
    assert orders(["hyena", "flash"], 8) == ["hf", "fh", "fh", "hf", "hf", "fh", "fh", "hf"]


def test_three_sides_stand_in_every_order_once_in_six_rounds():
    seen = orders(["hyena", "flash", "attention"], 6)
    assert len(set(seen)) == 6
    for place in range(3):
        assert Counter(order[place] for order in seen) == {"h": 2, "f": 2, "a": 2}


def test_each_of_three_sides_goes_before_each_other_as_often_as_after():
    seen = orders(["hyena", "flash", "attention"], 6)
    for one, other in ("hf", "ha", "fa"):
        assert sum(order.index(one) < order.index(other) for order in seen) == 3


def test_three_sides_turn_round_from_pairing_to_pairing_and_two_do_not():
    three, two = (
        tuple(make_iteration(name) for name in names) for names in (("hyena", "flash", "attention"), ("hyena", "flash"))
    )
    for number in range(6):
        first, second, third = (rounds.in_order(three, number, place=place) for place in range(3))
        assert (second, third) == (first[::-1], first)
        assert len({rounds.in_order(two, number, place=place) for place in range(3)}) == 1


def test_one_side_alone_is_its_own_order():
    assert orders(["hyena"], 3) == ["h", "h", "h"]


def test_what_is_still_needed_counts_only_the_rounds_that_are_missing():
    ledger, fresh, begun, done, closed = Ledger(), *(make_iteration("hyena", n) for n in (64, 128, 256, 512))
    visited(ledger, begun, 0.01)
    visited(ledger, done, 0.01, rounds=range(3))
    ledger.hint(fresh.call_point, 0.02)
    ledger.add([make_visit(closed.points[0], outcome=Outcome.OOM, reason="full")])
    assert rounds.still_needed_s([done, closed], ledger, RULES) == 0
    assert rounds.still_needed_s([begun], ledger, RULES) == pytest.approx(2 * visit_wall_s(0.01, RULES, first=False))
    first = visit_wall_s(0.02, RULES, first=True)
    later = visit_wall_s(0.02, RULES, first=False)
    assert rounds.still_needed_s([fresh], ledger, RULES, rounds=5) == pytest.approx(first + 4 * later)


def test_energy_is_predicted_for_the_visits_that_read_it_and_for_no_later_one():
    rules = RULES.model_copy(update={"energy_window_s": rounds.ENERGY_WINDOW_S})
    ledger, iteration = Ledger(), make_iteration("hyena", 64)
    pairing = make_pairing(64, operators=("hyena",))
    ledger.hint(iteration.call_point, 0.01)
    visit_s = visit_wall_s(0.01, RULES, first=False)
    needed_s = rounds.still_needed_s([iteration], ledger, rules, rounds=8)
    assert needed_s == pytest.approx(rounds.still_needed_s([iteration], ledger, RULES, rounds=8) + 5.0)
    for number in range(rounds.ENERGY_VISITS):
        assert rounds.fitting([pairing], ledger, rules, left_s=visit_s + 0.1, start_s=0.0) == ()
        ledger.add([make_visit(iteration.points[0], 0.01, round=number).model_copy(update={"energy_j": 1.0})])
    assert rounds.fitting([pairing], ledger, rules, left_s=visit_s + 0.1, start_s=0.0) == (pairing,)


def test_a_point_is_precise_when_its_interval_is_and_it_has_five_visits():
    ledger, iteration = Ledger(), make_iteration()
    for number in range(5):
        assert not rounds.precise(iteration, ledger, precision=0.01)
        visited(ledger, iteration, rounds=[number])
    assert rounds.precise(iteration, ledger, precision=0.01)


def test_a_point_that_scatters_wants_more_until_there_is_no_use_in_it():
    ledger, iteration = Ledger(), make_iteration()
    for number in range(rounds.MOST_ROUNDS):
        assert not rounds.precise(iteration, ledger, precision=0.01)
        visited(ledger, iteration, 1e-3 * (1 + number % 2), rounds=[number])
    assert rounds.precise(iteration, ledger, precision=0.01)


def test_nothing_is_gained_where_every_point_failed():
    iteration = make_iteration()
    ledger = Ledger([make_visit(iteration.points[0], outcome=Outcome.OOM, reason="full")])
    assert rounds.precise(iteration, ledger, precision=0.01)


@pytest.mark.parametrize(("high", "is_settled"), [(1450 * 1.009, True), (1450 * 1.011, False), (None, False)])
def test_a_crossover_is_unsettled_while_its_interval_is_wider_than_asked(high, is_settled):
    low = None if high is None else 2 * 1450 - high
    measured = (comparison(1024, 0.5), comparison(2048, 2.0))
    found = rounds.unsettled([crossover(flip(low, high), comparisons=measured)], precision=0.01)
    assert found == (frozenset() if is_settled else {at(1024, with_gradients=False), FORWARD_AT_2K})


def test_an_unsettled_crossover_asks_for_rounds_of_its_own_iteration_alone():
    measured = (comparison(1024, 0.5), comparison(2048, 2.0))
    found = [
        crossover(flip(None, None), phase=phase, comparisons=measured) for phase in (Phase.BACKWARD, Phase.TRAINING)
    ]
    assert rounds.unsettled(found, precision=0.01) == {at(1024, with_gradients=True), GRADIENTS_AT_2K}


def test_what_lies_around_an_unsettled_crossover_settles_it_and_the_cheapest_is_made_precise_first():
    ledger = Ledger()
    cheap, dear, around = (make_pairing(length) for length in (64, 8192, 2048))
    for pairing, latency_s in ((cheap, 1e-3), (dear, 9e-3), (around, 5e-3)):
        steadily(ledger, pairing, number=1, latency_s=latency_s)
    held = [dear, cheap, around]
    assert rounds.settling(held, ledger, crossing={FORWARD_AT_2K}) == (around,)
    assert rounds.imprecise(held, ledger, precision=0.01) == (cheap, around, dear)


def test_a_precise_pairing_is_wanted_only_around_an_unsettled_crossover():
    ledger, pairing = Ledger(), make_pairing(2048)
    steadily(ledger, pairing)
    assert rounds.imprecise([pairing], ledger, precision=0.01) == ()
    assert rounds.settling([pairing], ledger, crossing={GRADIENTS_AT_2K}) == ()
    assert rounds.settling([pairing], ledger, crossing={FORWARD_AT_2K}) == (pairing,)


def test_a_length_that_bisects_a_crossover_is_wanted_for_five_rounds():
    ledger, pairing = Ledger(), make_pairing(2048)
    for number in range(rounds.CROSSOVER_ROUNDS):
        wanted = rounds.settling([pairing], ledger, crossing=(), between={FORWARD_AT_2K})
        assert wanted == (pairing,)
        for iteration in pairing.iterations:
            visited(ledger, iteration, rounds=[number])
    assert rounds.settling([pairing], ledger, crossing=(), between={FORWARD_AT_2K}) == ()


def test_nothing_is_wanted_past_the_most_rounds_or_of_sides_that_failed():
    ledger, often, failed = Ledger(), make_pairing(2048), make_pairing(1024)
    steadily(ledger, often, number=rounds.MOST_ROUNDS)
    ledger.add(make_visit(it.points[0], outcome=Outcome.OOM, reason="full") for it in failed.iterations)
    crossing = {FORWARD_AT_2K, at(1024, with_gradients=False)}
    assert rounds.settling([often, failed], ledger, crossing=crossing) == ()
    assert rounds.imprecise([often, failed], ledger, precision=0.01) == ()


def test_a_round_takes_what_fits_in_order_of_preference_and_visits_by_length():
    ledger = Ledger()
    first, too_long, last = make_pairing(4096), make_pairing(8192), make_pairing(64)
    for pairing, latency_s in ((first, 0.6), (too_long, 60.0), (last, 0.001)):
        steadily(ledger, pairing, number=1, latency_s=latency_s)
    needed_s = 2 * visit_wall_s(0.6, RULES, first=False) + 2 * visit_wall_s(0.001, RULES, first=False)
    wanted = (first, too_long, last)
    assert rounds.fitting(wanted, ledger, RULES, left_s=needed_s + 6.1, start_s=3.0) == (last, first)
    assert rounds.fitting(wanted, ledger, RULES, left_s=needed_s + 5.9, start_s=3.0) == (first,)
    assert rounds.fitting(wanted, ledger, RULES, left_s=5.0, start_s=3.0) == ()


@pytest.mark.parametrize(
    ("operators", "pairings", "starts"),
    [
        (("hyena", "flash"), 0, 0),
        (("hyena", "flash"), 1, 2),
        (("hyena", "flash"), 5, 2),
        (("hyena", "flash", "attention"), 1, 3),
        (("hyena", "flash", "attention"), 4, 3 + 3),
        (("hyena", "flash", "attention", "other"), 4, 4 + 2 * 3),
    ],
)
def test_a_round_starts_each_side_once_and_again_whoever_had_to_make_room(operators, pairings, starts):
    made = [make_pairing(64 << place, operators=operators) for place in range(pairings)]
    assert rounds.starts_needed(made, Ledger()) == starts


def test_a_round_starts_no_side_twice_where_all_may_live():
    made = [make_pairing(64 << place, operators=("hyena", "flash", "attention")) for place in range(4)]
    assert rounds.starts_needed(made, Ledger(), live=3) == 3


def test_a_side_that_failed_is_not_started():
    ledger, pairing = Ledger(), make_pairing(2048, operators=("hyena", "flash", "attention"))
    failed = make_visit(pairing.iterations[2].points[0], outcome=Outcome.CRASHED, reason="SIGSEGV")
    ledger.add([failed])
    assert rounds.starts_needed([pairing, make_pairing(1024)], ledger) == 2


def test_the_end_is_the_budgets_where_it_was_spent_and_a_prediction_where_time_was_left():
    assert rounds.end_reason(-0.1, cut=False) == "the budget was reached"
    assert rounds.end_reason(3.0, cut=True) == "the budget was reached"
    said = "what is left is predicted to take longer than the 1 m 01 s left of the budget"
    assert rounds.end_reason(61.0, cut=False) == said


def test_a_side_that_failed_costs_a_round_nothing():
    ledger, pairing = Ledger(), make_pairing(2048)
    steadily(ledger, pairing, number=1, latency_s=0.001)
    ledger.add([make_visit(pairing.iterations[1].points[0], round=1, outcome=Outcome.CRASHED, reason="SIGSEGV")])
    one_s = visit_wall_s(0.001, RULES, first=False)
    assert rounds.fitting([pairing], ledger, RULES, left_s=one_s + 0.01, start_s=0.0) == (pairing,)


@pytest.mark.parametrize(
    ("length", "ratio", "leads"), [(64, 1.2, True), (64, 0.95, True), (64, 0.9, False), (128, 1.2, False)]
)
def test_the_search_goes_below_the_shortest_length_while_no_challenger_is_clearly_behind_there(length, ratio, leads):
    found = [crossover(), crossover(comparisons=(comparison(length, ratio),))]
    assert rounds.leads_at_shortest(found, 64) is leads


def test_the_reason_of_a_point_left_out_names_what_was_compared():
    said = "its first visit is predicted to take about 2 m 10 s, with 1 m 01 s of the budget left"
    assert rounds.over_budget_reason(130.0, 61.0) == said
    assert rounds.over_budget_reason(2.0, -4.0).endswith("with 0.0 s of the budget left")
    assert rounds.over_budget_reason(2.0, 3.0).endswith(
        "of the budget left, which would not hold the rounds that belong to it"
    )
