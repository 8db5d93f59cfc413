from __future__ import annotations

import pytest
from builders import make_cost, make_fingerprint, make_point, make_visit
from sweeps import make_iteration, visited

from hyenaprof.model import Cost, Outcome, Phase, SkipLine
from hyenaprof.pipe import VisitRules
from hyenaprof.running.ledger import Ledger, visit_wall_s

FORWARD = make_iteration()
BOTH = make_iteration("hyena", 1024, Phase.BACKWARD, Phase.TRAINING)
PESSIMISM = 1.1


def skip(point, outcome):
    return SkipLine(point=point, outcome=outcome, reason="because", fingerprint_id=make_fingerprint().id)


def linear_cost(point):
    return Cost(flops=1e6 * point.shape.length, bytes=1.0, need_bytes=1.0, source="test")


def test_nothing_is_known_of_a_new_run():
    ledger = Ledger()
    assert ledger.records() == ()
    assert (ledger.rounds(BOTH), ledger.next_round([BOTH])) == (0, 0)
    assert ledger.open_points(BOTH) == BOTH.points
    assert not ledger.has(BOTH.points[0], 0)


def test_rounds_are_those_that_all_open_points_have():
    ledger = Ledger()
    visited(ledger, BOTH, rounds=(0, 1))
    ledger.add([make_visit(BOTH.points[0], round=2)])
    assert ledger.rounds(BOTH) == 2
    assert ledger.has(BOTH.points[0], 2)
    assert not ledger.has(BOTH.points[1], 2)


def test_the_next_round_is_one_more_than_any_side_has():
    ledger, other = Ledger(), make_iteration("flash")
    visited(ledger, FORWARD, rounds=(0, 1))
    visited(ledger, other, rounds=(0, 1))
    assert ledger.next_round([FORWARD, other]) == 2


def test_a_round_that_a_kill_left_unfinished_is_gone_on_with():
    ledger, other = Ledger(), make_iteration("flash")
    visited(ledger, FORWARD, rounds=(0, 1, 2))
    visited(ledger, other, rounds=(0, 1))
    assert ledger.next_round([FORWARD, other]) == 2
    assert ledger.next_round([FORWARD, other, make_iteration("attention")]) == 2


def test_a_visit_torn_between_its_phases_is_gone_on_with():
    ledger = Ledger()
    visited(ledger, BOTH, rounds=(0, 1))
    ledger.add([make_visit(BOTH.points[0], round=2)])
    assert ledger.next_round([BOTH]) == 2


def test_a_side_that_failed_does_not_hold_a_round_open():
    ledger, other = Ledger(), make_iteration("flash")
    visited(ledger, FORWARD, rounds=(0, 1, 2))
    visited(ledger, other)
    ledger.add([make_visit(other.points[0], round=1, outcome=Outcome.CRASHED, reason="SIGSEGV")])
    assert ledger.next_round([FORWARD, other]) == 3


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.OK, Outcome.OVER_BUDGET}))
@pytest.mark.parametrize("kind", ["visit", "skip"])
def test_a_failure_closes_its_point_alone(outcome, kind):
    ledger, point = Ledger(), BOTH.points[0]
    line = skip(point, outcome) if kind == "skip" else make_visit(point, outcome=outcome, reason="because")
    ledger.add([line])
    assert ledger.closed(point) == (outcome, "because")
    assert ledger.open_points(BOTH) == BOTH.points[1:]
    assert ledger.visits(point) == ()


def test_a_point_over_the_budget_stays_open():
    ledger = Ledger([skip(FORWARD.points[0], Outcome.OVER_BUDGET)])
    assert ledger.closed(FORWARD.points[0]) is None
    assert ledger.open_points(FORWARD) == FORWARD.points


def test_of_two_visits_in_one_round_the_first_counts_as_in_a_record():
    point = FORWARD.points[0]
    first, second = make_visit(point, 1e-3), make_visit(point, 9e-3)
    ledger = Ledger([first, second])
    assert ledger.visits(point) == ledger.records()[0].visits == (first,)


def test_a_measured_call_is_as_fast_as_its_fastest_visit():
    ledger = Ledger()
    for round_, latency_s in enumerate((3e-3, 1e-3, 2e-3)):
        visited(ledger, FORWARD, latency_s, rounds=[round_])
    assert ledger.call_s(FORWARD) == 1e-3


def test_a_call_read_as_backward_alone_takes_half_as_much_again():
    ledger, backward = Ledger(), make_iteration("hyena", 1024, Phase.BACKWARD)
    visited(ledger, backward, 2e-3)
    assert ledger.call_s(backward) == pytest.approx(3e-3, rel=1e-12)


def test_dropped_samples_steer_nothing():
    ledger = Ledger([make_visit(FORWARD.points[0], (1e-3, 5e-3, 5e-3), dropped=(1, 2))])
    assert ledger.call_s(FORWARD) == 1e-3


def test_a_hint_counts_until_the_point_is_measured():
    ledger = Ledger()
    ledger.hint(FORWARD.call_point, 0.7)
    assert ledger.call_s(FORWARD) == 0.7
    visited(ledger, FORWARD, 0.1)
    assert ledger.call_s(FORWARD) == 0.1


def test_a_longer_call_is_predicted_by_the_cost_model_from_one_length():
    ledger, longer = Ledger(), make_iteration("hyena", 4096)
    visited(ledger, FORWARD, 1e-3)
    for iteration in (FORWARD, longer):
        ledger.know_cost(iteration.points[0], make_cost(iteration.points[0]))
    assert ledger.call_s(longer) == pytest.approx(PESSIMISM * 4e-3, rel=1e-9)


def test_a_longer_call_is_predicted_by_the_growth_seen_where_that_is_steeper():
    ledger, longer = Ledger(), make_iteration("flash", 4096)
    for length, latency_s in ((512, 1e-3), (1024, 4e-3)):
        visited(ledger, make_iteration("flash", length), latency_s)
    ledger.know_cost(longer.points[0], linear_cost(longer.points[0]))
    assert ledger.call_s(longer) == pytest.approx(PESSIMISM * 64e-3, rel=1e-9)


def test_without_any_cost_a_call_is_thought_to_grow_with_the_length():
    ledger = Ledger()
    visited(ledger, FORWARD, 1e-3)
    assert ledger.call_s(make_iteration("hyena", 8192)) == pytest.approx(PESSIMISM * 8e-3, rel=1e-9)


def test_other_curves_predict_nothing():
    ledger, unseen = Ledger(), make_iteration("hyena", 2048)
    visited(ledger, make_iteration("flash", 1024), 5.0)
    visited(ledger, make_iteration("hyena", 1024, Phase.TRAINING), 5.0)
    ledger.know_cost(unseen.points[0], linear_cost(unseen.points[0]))
    assert ledger.call_s(unseen) == pytest.approx(1e6 * 2048 / 2e10, rel=1e-12)


def test_an_unseen_call_is_thought_long_by_an_assumed_rate():
    ledger = Ledger()
    cuda = make_point(device="cuda")
    on_cuda = type(FORWARD)(FORWARD.side, (cuda,))
    for iteration in (FORWARD, on_cuda):
        ledger.know_cost(iteration.points[0], Cost(flops=2e13, bytes=1.0, need_bytes=1.0, source="test"))
    assert (ledger.call_s(FORWARD), ledger.call_s(on_cuda)) == (1000.0, 1.0)


@pytest.mark.parametrize(
    ("call_s", "first", "wall_s"),
    [
        (0.01, False, 0.5 + 0.01 * 4 + 0.1),
        (0.2, False, 0.2 * 5 + 0.2 * 4 + 0.1),
        (3.0, False, 3.0 + 3.0 + 0.1),
        (3.0, True, 3.0 + 3.0 * 4.5 + 0.1),
    ],
)
def test_a_visit_takes_its_window_its_warm_up_and_at_first_the_memory_pass(call_s, first, wall_s):
    assert visit_wall_s(call_s, VisitRules(window_s=0.5, floor_samples=5), first=first) == pytest.approx(wall_s)


@pytest.mark.parametrize(
    ("call_s", "energy_s"),
    [
        (0.01, 1.0),
        (0.19, 6 * 0.19),  # five samples of it take 0.95 s
        (0.2, 0.0),  # five take the whole window
        (0.6, 2 * 0.6),  # one sample, too short for the counter
        (1.0, 0.0),
        (30.0, 0.0),
    ],
)
def test_energy_takes_whole_calls_of_its_own_unless_the_samples_fill_its_window(call_s, energy_s):
    without, with_energy = (
        visit_wall_s(call_s, VisitRules(window_s=0.5, floor_samples=5, energy_window_s=window_s), first=False)
        for window_s in (0.0, 1.0)
    )
    assert with_energy - without == pytest.approx(energy_s)
