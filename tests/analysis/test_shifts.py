"""Crossovers that moved between two sides, and whose doing it was."""

from datetime import date

import pytest
from builders import LENGTHS, crossing_law, make_records

from hyenaprof.analysis.gate import judge
from hyenaprof.analysis.looks import Ruling
from hyenaprof.analysis.shifts import shifts
from hyenaprof.model import Phase
from hyenaprof.records.tolerances import Allowance, Expected, Tolerances


def side(hyena=1.0, flash=1.0, *, noise=0.003, rounds=10):
    factors = {"hyena": hyena, "flash": flash}
    return make_records(
        phases=(Phase.FORWARD,),
        law=lambda operator, phase, length: factors[operator] * crossing_law(operator, phase, length),
        rounds=rounds,
        noise=noise,
        within_noise=0.0,
    )


def moved(base, candidate, **rules):
    (shift,) = shifts(base, candidate, tolerances=Tolerances((("*", Allowance(**rules)),)))
    return shift


def test_a_crossover_that_comes_later_because_the_challenger_got_slower_is_regressed():
    shift = moved(side(), side(hyena=1.3))
    assert shift.ruling is Ruling.REGRESSED
    assert (shift.base, shift.candidate) == pytest.approx((2896, 1.3 * 2896), rel=0.05)
    assert (
        shift.text == f"forward: hyena over flash: the crossover moved from {shift.base:.0f} to {shift.candidate:.0f}"
    )


def test_a_crossover_that_comes_later_because_the_incumbent_got_faster_is_no_regression():
    shift = moved(side(), side(flash=1 / 1.3))
    assert shift.ruling is Ruling.OK
    assert shift.candidate == pytest.approx(1.3 * 2896, rel=0.05)
    assert "flash's doing" in shift.text


def test_a_crossover_that_comes_earlier_is_improved():
    assert moved(side(), side(hyena=0.75)).ruling is Ruling.IMPROVED


def test_a_move_within_what_is_let_pass_or_within_its_interval_is_not_regressed():
    assert moved(side(), side(hyena=1.05)).ruling is Ruling.OK
    assert moved(side(), side(hyena=1.3), crossover=0.5).ruling is Ruling.OK
    assert moved(side(noise=0.2), side(hyena=1.2, noise=0.2)).ruling is not Ruling.REGRESSED


@pytest.mark.parametrize(
    ("before", "now", "ruling"),
    [
        (1.0, 4.0, Ruling.REGRESSED),
        (4.0, 1.0, Ruling.IMPROVED),
        (0.2, 1.0, Ruling.REGRESSED),
        (1.0, 0.2, Ruling.IMPROVED),
    ],
)
def test_a_crossover_that_only_one_side_has_is_judged_by_who_leads_on_the_other(before, now, ruling):
    shift = moved(side(hyena=before), side(hyena=now))
    assert shift.ruling is ruling
    assert shift.text.startswith("forward: hyena over flash: before, ")
    assert (shift.base is None) is (before != 1.0)
    assert (shift.candidate is None) is (now != 1.0)


def test_pairs_that_cross_on_neither_side_say_nothing():
    assert shifts(side(hyena=4.0), side(hyena=5.0), tolerances=Tolerances()) == ()


@pytest.mark.parametrize(
    ("points", "metric", "up_to", "red"),
    [
        ("hyena:*", "time", None, False),
        ("hyena:*/forward/2048", "time", 0.1, False),
        ("hyena:*", "crossover", 0.5, False),
        ("hyena:*", "crossover", 0.1, True),
        ("hyena:*", "memory", None, True),
        ("flash:*", "time", None, True),
    ],
)
def test_a_later_crossover_is_not_red_where_it_or_its_challengers_slowdown_was_expected(points, metric, up_to, red):
    entry = Expected(points=points, metric=metric, up_to=up_to, reason="on purpose", expires=date(2030, 1, 1))
    (shift,) = shifts(side(), side(hyena=1.3), tolerances=Tolerances(), expected=[entry])
    assert shift.ruling is Ruling.REGRESSED
    assert shift.is_red is red
    assert shift.expected == (None if red else "on purpose (until 2030-01-01)")


def test_a_gate_tells_its_shifts_when_it_has_ended_and_a_later_crossover_is_red():
    assert judge(side(rounds=6), side(hyena=1.3, rounds=6)).shifts == ()
    gate = judge(side(), side(hyena=1.3), tolerances=Tolerances((("*", Allowance(time=0.5)),)))
    assert {verdict.ruling for verdict in gate.verdicts if verdict.metric == "latency"} == {Ruling.OK}
    assert [shift.ruling for shift in gate.shifts] == [Ruling.REGRESSED]
    assert gate.is_red
    assert len(LENGTHS) == len({verdict.point.shape.length for verdict in gate.verdicts})
