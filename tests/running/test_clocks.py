"""The sides of a round at one clock: measured once more where they are apart, and flagged where they stay so."""

from __future__ import annotations

import pytest
from builders import make_point, make_visit
from scripted import Orders
from sweeps import FAST

from hyenaprof.model import DeviceState
from hyenaprof.pipe import MeasureAnswer
from hyenaprof.running import session
from hyenaprof.running.clocks import at_one_clock, clocks_apart


def visits(clock_mhz):
    visit = make_visit(make_point("hyena", 1024))
    return (visit.model_copy(update={"state": DeviceState(clock_mhz=clock_mhz)}),)


def measured(*clocks_mhz, beside=1980.0):
    """The clock that is kept, its warnings, and how often it was measured."""
    answers = [MeasureAnswer(visits=visits(clock)) for clock in clocks_mhz]
    asked = iter(answers)
    (kept,) = at_one_clock(lambda: next(asked), visits(beside)).visits
    return kept.state.clock_mhz, kept.warnings, len(answers) - len(list(asked))


@pytest.mark.parametrize("clock", [1980.0, 1942.0, 2019.0, None])
def test_a_visit_within_two_per_cent_of_the_clock_beside_it_or_at_none_that_is_known_stands(clock):
    assert measured(clock, 1.0) == (clock, (), 1)


def test_a_visit_at_another_clock_is_measured_once_more():
    assert measured(1700.0, 1975.0, 1.0) == (1975.0, (), 2)


def test_one_that_stays_at_another_clock_is_flagged():
    told = "clocks apart: the device ran at 1755 MHz, and at 1980 MHz for the other side of the round"
    assert measured(1700.0, 1755.0, 1.0) == (1755.0, (told,), 2)


def test_nothing_beside_it_is_nothing_to_compare():
    assert clocks_apart(visits(1000.0), ()) == ""


def test_a_sweep_compares_the_second_side_of_each_round_with_the_first(go, monkeypatch):
    compared = []
    monkeypatch.setattr(session, "at_one_clock", lambda ask, beside: compared.append(beside) or ask())
    go(Orders(laws=FAST, hello={"device_kind": "cuda"}), lengths=[1024], phases="forward", rounds=2)
    assert [[visit.round for visit in beside] for beside in compared] == [[], [0], [], [1]]
