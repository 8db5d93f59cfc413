"""Verdicts on two sides' records: time, memory, energy, what stopped working, what is missing."""

from dataclasses import replace
from datetime import date

import pytest
from builders import make_failure, make_point, make_record, make_visit, with_energy, with_warnings

from hyenaprof.analysis.gate import judge
from hyenaprof.analysis.looks import Ruling
from hyenaprof.model import Outcome, Phase, Record
from hyenaprof.records.tolerances import Allowance, Expected, Tolerances

MIB = 1024**2
POINT = make_point("hyena", 1024)


def side(ratio=1.0, *, point=POINT, base_s=1e-2, rounds=24, noise=0.005):
    """A record whose rounds scatter by `noise` about `base_s` times the ratio, unlike those of any other ratio."""
    signs = (1 + ((7 * number + round(1e4 * ratio)) % 11 - 5) / 5 * noise for number in range(rounds))
    visits = tuple(make_visit(point, base_s * ratio * sign, round=number) for number, sign in enumerate(signs))
    return replace(make_record(point, base_s, rounds=1), visits=visits)


def with_peak(record, peak_bytes):
    return replace(record, memory=record.memory.model_copy(update={"peak_bytes": peak_bytes}))


def of(gate, metric="latency"):
    (verdict,) = [verdict for verdict in gate.verdicts if verdict.metric == metric]
    return verdict


def test_a_point_that_got_slower_is_regressed_with_its_ratio_and_bounds():
    verdict = of(judge([side()], [side(1.1)]))
    assert verdict.ruling is Ruling.REGRESSED
    assert verdict.is_red
    assert verdict.ratio == pytest.approx(1.1, rel=0.005)
    assert 1 < verdict.low < verdict.ratio < verdict.high
    assert (verdict.base, verdict.candidate) == pytest.approx((1e-2, 1.1e-2), rel=0.01)
    assert verdict.rounds == 10


def test_an_equal_side_is_ok_and_nothing_is_red():
    gate = judge([side()], [side(1.001)])
    assert {verdict.ruling for verdict in gate.verdicts} == {Ruling.OK}
    assert not gate.is_red
    assert gate.inconclusive_share == 0


def test_an_open_point_is_to_be_measured_again_until_the_next_look_and_a_settled_one_not():
    slow = make_point("flash", 2048)
    gate = judge([side(rounds=6), side(point=slow, rounds=6)], [side(rounds=6), side(1.2, point=slow, rounds=6)])
    assert (gate.again, gate.rounds) == ((slow,), 10)
    assert gate.inconclusive_share == pytest.approx(0.5)
    assert judge([side(rounds=6)], [side(1.2, rounds=6)], closing=True).again == ()


@pytest.mark.parametrize(
    ("device", "base_s", "growth_s", "ruling"),
    [
        ("cpu", 50e-6, 18e-6, Ruling.OK),
        ("cpu", 50e-6, 30e-6, Ruling.REGRESSED),
        ("cuda", 10e-6, 1.5e-6, Ruling.OK),
        ("cuda", 10e-6, 3e-6, Ruling.REGRESSED),
    ],
)
def test_a_difference_below_the_clocks_floor_is_let_pass_however_large_its_ratio(device, base_s, growth_s, ruling):
    point = make_point(device=device)
    base = side(point=point, base_s=base_s, noise=0.001)
    candidate = side(1 + growth_s / base_s, point=point, base_s=base_s, noise=0.001)
    assert of(judge([base], [candidate])).ruling is ruling


def test_tolerances_are_3_percent_on_a_gpu_and_5_elsewhere_unless_a_rule_says_otherwise():
    gpu = make_point(device="cuda")
    four = judge([side(), side(point=gpu)], [side(1.04), side(1.04, point=gpu)])
    assert {(v.point.device, v.ruling) for v in four.verdicts if v.metric == "latency"} == {
        ("cpu", Ruling.OK),
        ("cuda", Ruling.REGRESSED),
    }
    strict = Tolerances(rules=(("hyena:*/forward", Allowance(time=0.02)),))
    assert of(judge([side()], [side(1.04)], tolerances=strict)).ruling is Ruling.REGRESSED


@pytest.mark.parametrize(
    ("before", "now", "ruling"),
    [
        (100 * MIB, int(100.9 * MIB), Ruling.OK),
        (100 * MIB, int(102.1 * MIB), Ruling.REGRESSED),
        (10 * MIB, int(10.9 * MIB), Ruling.OK),
        (10 * MIB, int(11.1 * MIB), Ruling.REGRESSED),
        (100 * MIB, 90 * MIB, Ruling.IMPROVED),
        (0, 2 * MIB, Ruling.REGRESSED),
    ],
)
def test_memory_is_regressed_past_one_percent_and_one_mebibyte_both(before, now, ruling):
    verdict = of(judge([with_peak(side(), before)], [with_peak(side(), now)]), "peak_memory")
    assert verdict.ruling is ruling
    assert (verdict.base, verdict.candidate) == (before, now)


def test_energy_is_judged_where_both_sides_measured_it():
    base, candidate = with_energy(side(), 1.0, 1.01), with_energy(side(), 1.3, 1.31)
    assert of(judge([base], [candidate]), "energy").ruling is Ruling.REGRESSED
    assert of(judge([base], [candidate])).ruling is Ruling.OK
    assert [verdict.metric for verdict in judge([base], [side()]).verdicts] == ["latency", "peak_memory"]


@pytest.mark.parametrize("outcome", [o for o in Outcome if o not in (Outcome.OK, Outcome.OVER_BUDGET)])
def test_a_point_that_ran_and_fails_now_is_regressed(outcome):
    gate = judge([side()], [make_failure(POINT, outcome, "as planted")])
    verdict = of(gate, "outcome")
    assert (verdict.ruling, gate.is_red) == (Ruling.REGRESSED, True)
    assert "as planted" in verdict.reason


def test_a_point_that_fails_in_one_round_of_many_is_regressed_too():
    crash = make_visit(POINT, round=23, outcome=Outcome.CRASHED, reason="signal 11")
    flaky = replace(side(rounds=23), outcome=Outcome.CRASHED, reason="signal 11", failures=(crash,))
    assert of(judge([side()], [flaky]), "outcome").ruling is Ruling.REGRESSED


def test_a_point_that_is_missing_now_is_an_error_and_one_that_is_new_is_not_judged():
    new = make_point("flash")
    gate = judge([side()], [side(point=new)])
    assert {(v.point.operator, v.ruling) for v in gate.verdicts} == {
        ("hyena", Ruling.MISSING),
        ("flash", Ruling.NOT_JUDGED),
    }
    assert gate.is_red


def test_what_fails_on_both_sides_is_not_judged_and_what_runs_again_is_improved():
    failed = make_failure(POINT)
    both, again = judge([failed], [failed]), judge([failed], [side()])
    assert (of(both, "outcome").ruling, both.is_red) == (Ruling.NOT_JUDGED, False)
    assert of(again, "outcome").ruling is Ruling.IMPROVED


@pytest.mark.parametrize("spent", [0, 1])
def test_a_side_that_the_budget_cut_off_is_inconclusive_not_regressed(spent):
    sides = [[side()], [side()]]
    sides[spent] = [make_failure(POINT, Outcome.OVER_BUDGET, "the budget ended")]
    gate = judge(*sides)
    assert (of(gate, "outcome").ruling, gate.inconclusive_share) == (Ruling.INCONCLUSIVE, 1.0)


def test_a_record_without_any_visit_is_inconclusive():
    assert of(judge([side()], [Record("0" * 12, POINT, Outcome.OK, None)]), "outcome").ruling is Ruling.INCONCLUSIVE


def test_an_expected_change_is_shown_and_does_not_count_up_to_its_limit():
    change = Expected(points="hyena:fft/*", up_to=0.2, reason="exact filters", expires=date(2030, 1, 1))
    gate = judge([side()], [side(1.1)], expected=[change])
    assert not gate.is_red
    assert of(gate).expected == "exact filters (until 2030-01-01)"
    assert judge([side()], [side(1.3)], expected=[change]).is_red
    assert judge([side(point=make_point("flash"))], [side(1.1, point=make_point("flash"))], expected=[change]).is_red


def test_the_worst_verdict_comes_first():
    points = [make_point("hyena", length) for length in (256, 512, 1024, 2048)]
    base = [side(point=point) for point in points]
    candidate = [side(ratio, point=point) for point, ratio in zip(points, (1.0, 1.1, 1.3), strict=False)]
    told = [(v.point.shape.length, v.ruling) for v in judge(base, candidate).verdicts if v.metric != "peak_memory"]
    assert told == [(2048, Ruling.MISSING), (1024, Ruling.REGRESSED), (512, Ruling.REGRESSED), (256, Ruling.OK)]


def test_rounds_are_paired_by_their_number_and_one_that_a_side_lacks_counts_for_neither():
    candidate = side(1.1, rounds=12)
    base = replace(side(rounds=12), visits=side(rounds=12).visits[2:])
    verdict = of(judge([base], [candidate]))
    assert (verdict.ruling, verdict.rounds) == (Ruling.REGRESSED, 10)
    assert of(judge([base], [side(1.1, rounds=11)])).ruling is Ruling.INCONCLUSIVE


def test_phases_are_points_of_their_own():
    forward, training = POINT, POINT.reading(Phase.TRAINING)
    gate = judge([side(), side(point=training)], [side(), side(1.2, point=training)])
    assert {(v.point.phase, v.ruling) for v in gate.verdicts if v.metric == "latency"} == {
        (forward.phase, Ruling.OK),
        (training.phase, Ruling.REGRESSED),
    }


def test_a_gate_says_how_many_of_its_visits_were_flagged():
    flagged = with_warnings(side(rounds=6), "contended: other processes used 0.9 CPUs", "contended: preempted")
    assert judge([flagged], [side(rounds=6)]).warnings == ("6 of 12 visits: contended",)
