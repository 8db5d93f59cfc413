"""Which implementation an operator named alone stands for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted import Orders
from sweeps import FAST, lines_of

from hyenaprof.model import ChoiceLine
from hyenaprof.operators import OPERATORS


@pytest.fixture
def two_ways(monkeypatch):
    """A hyena with two implementations."""
    monkeypatch.setitem(OPERATORS, "hyena", replace(OPERATORS["hyena"], implementations=("fft", "direct")))
    return {"operators": {"hyena": {}, "flash": {"implementations": ["sdpa"]}}, "phases": "forward", "lengths": [1024]}


PYTHONS = ("hyena:fft", "hyena:direct", "flash:sdpa")


def test_an_operator_named_alone_is_its_fastest_implementation_that_verifies(go, two_ways):
    run, told, _ = go(Orders(laws={"hyena:fft": (2e-7, 1.0), "hyena:direct": (1e-7, 1.0)}), pythons=PYTHONS, **two_ways)
    (choice,) = run.choices
    assert (choice.operator, choice.implementation, choice.rejected) == ("hyena", "direct", {})
    assert choice.trial_s == pytest.approx({"fft": 2e-7 * 1024, "direct": 1e-7 * 1024}, rel=0.01)
    assert {r.point.label for r in run.records} == {"hyena:direct", "flash:sdpa"}
    assert "hyena stands for hyena:direct, the fastest that verifies here" in told.notes


@pytest.mark.parametrize("kind", ["refuse", "signal"])
def test_an_implementation_that_does_not_verify_is_not_chosen_and_the_reason_kept(go, two_ways, kind):
    fault = {
        "verb": "verify",
        "implementation": "direct",
        "kind": kind,
        "number": 11,
        "outcome": "unsupported",
        "reason": "needs sm_90",
    }
    run, _, _ = go(Orders(laws={"hyena:direct": (1e-9, 1.0)}, faults=(fault,)), pythons=PYTHONS, **two_ways)
    (choice,) = run.choices
    assert choice.implementation == "fft"
    said = {
        "refuse": "unsupported: needs sm_90",
        "signal": "crashed: while being verified: the worker ended with SIGSEGV",
    }
    assert choice.rejected == {"direct": said[kind]}


def unavailable(*names):
    """A worker that can build none of these."""
    statuses = [
        {
            "operator": "hyena",
            "implementation": name,
            "available": name not in names,
            "reason": f"no {name}" if name in names else None,
        }
        for name in ("fft", "direct")
    ]
    return {"verb": "availability", "kind": "reply", "answer": {"statuses": statuses}}


def test_what_cannot_be_built_here_is_not_tried_and_the_only_one_left_needs_no_trial(go, two_ways):
    run, told, script = go(Orders(faults=(unavailable("direct"),)), pythons=PYTHONS, **two_ways)
    (choice,) = run.choices
    assert (choice.implementation, choice.trial_s, choice.rejected) == (
        "fft",
        {},
        {"direct": "not available: no direct"},
    )
    assert "hyena stands for hyena:fft, the only one that can be had here" in told.notes
    assert {asked["point"]["implementation"] for asked in script.asked("verify")} == {"fft", "sdpa"}
    assert {record.point.label for record in run.records} == {"hyena:fft", "flash:sdpa"}


def test_where_none_can_be_built_the_first_stands_with_its_reason(go, two_ways):
    run, _, _ = go(Orders(faults=(unavailable("fft", "direct"),)), pythons=PYTHONS, **two_ways)
    assert run.choices == ()
    assert {record.point.label for record in run.records} == {"hyena:fft", "flash:sdpa"}


def test_an_implementation_that_takes_the_asked_worker_down_is_found_out_by_its_trial(go, two_ways):
    fault = {"verb": "availability", "kind": "signal", "number": 11}
    laws = {"hyena:fft": (2e-7, 1.0), "hyena:direct": (1e-7, 1.0)}
    run, _, _ = go(Orders(laws=laws, faults=(fault,)), pythons=PYTHONS, **two_ways)
    assert run.choices[0].implementation == "direct"


def test_neither_a_fast_one_that_is_wrong_nor_a_slow_one_that_is_right_is_chosen(go, monkeypatch, two_ways):
    known = ("fft", "direct", "rash", "slow")
    monkeypatch.setitem(OPERATORS, "hyena", replace(OPERATORS["hyena"], implementations=known))
    seconds = {"fft": 2e-7, "direct": 1e-7, "rash": 1e-9, "slow": 1e-5}
    orders = Orders(
        laws={f"hyena:{name}": (factor, 1.0) for name, factor in seconds.items()}, errors={"hyena:rash": 0.25}
    )
    run, _, script = go(orders, pythons=(*PYTHONS, "hyena:rash", "hyena:slow"), **two_ways)
    (choice,) = run.choices
    assert choice.implementation == "direct"
    assert choice.rejected == {"rash": "incorrect: output: error 0.25, tolerance 1e-05 at L=127, by float64 definition"}
    assert set(choice.trial_s) == {"fft", "direct", "slow"}
    measured = [body["points"][0] for body in script.asked("measure")]
    assert "rash" not in {point["implementation"] for point in measured}
    assert {r.point.label for r in run.records} == {"hyena:direct", "flash:sdpa"}


def test_a_choice_holds_when_the_run_goes_on(go, two_ways):
    laws = {"hyena:fft": (2e-7, 1.0), "hyena:direct": (1e-7, 1.0)}
    folder, _, _ = go(Orders(laws=laws), pythons=PYTHONS, stop_after=1, **two_ways)
    turned = {"hyena:fft": (1e-9, 1.0), "hyena:direct": (1e-7, 1.0)}
    run, _, _ = go(Orders(laws=turned), pythons=PYTHONS, **two_ways)
    assert run.folder == folder
    assert len(lines_of(run, ChoiceLine)) == 1
    assert {r.point.label for r in run.records} == {"hyena:direct", "flash:sdpa"}


def test_what_will_take_long_is_said_before_the_trial(go, two_ways):
    _, told, _ = go(Orders(laws=FAST, cautions=("slow type: no instructions",)), pythons=PYTHONS, **two_ways)
    warned = told.notes.index("warning: hyena:fft: slow type: no instructions")
    assert warned < told.notes.index("verifying hyena:fft against its float64 definition")


def test_a_trial_is_told_of_as_it_begins_with_its_share_of_the_budget_and_how_to_save_it(go, two_ways):
    _, told, _ = go(Orders(laws=FAST), pythons=PYTHONS, budget="400s", **two_ways)
    said = (
        "trying which implementation of hyena is the fastest here, for 1 m 40 s at most; "
        "name one, as hyena:fft, to save that"
    )
    assert told.notes.index(said) < told.notes.index("verifying hyena:fft against its float64 definition")


def test_what_the_trials_share_of_the_budget_leaves_no_time_for_is_said_and_the_rest_is_measured(go, two_ways):
    hanging = {"verb": "verify", "kind": "hang", "operator": "hyena", "implementation": "fft"}
    run, told, _ = go(Orders(laws=FAST, faults=(hanging,)), pythons=PYTHONS, budget="8s", **{**two_ways, "rounds": 1})
    (choice,) = run.choices
    assert choice.trial_s == {}
    assert set(choice.rejected) == {"fft", "direct"}
    assert all("share of the budget ended" in reason for reason in choice.rejected.values())
    assert "hyena stands for hyena:fft, untried; no time was left to try fft, direct" in told.notes
    assert {(r.point.label, r.outcome) for r in run.records if r.point.operator == "flash"} == {("flash:sdpa", "ok")}


def test_the_fastest_forward_is_chosen_where_none_has_a_backward_pass(go, two_ways):
    refusing = [
        {"verb": "verify", "kind": "refuse", "outcome": "unsupported", "reason": "no backward pass", "phase": phase}
        for phase in ("training",)
    ]
    laws = {"hyena:fft": (2e-7, 1.0), "hyena:direct": (1e-7, 1.0)}
    run, _, _ = go(
        Orders(laws=laws, faults=tuple(refusing)),
        pythons=PYTHONS,
        **{**two_ways, "phases": ["training", "forward"]},
    )
    assert run.choices[0].implementation == "direct"
    outcomes = {(r.point.label, r.point.phase): (r.outcome, r.reason) for r in run.records}
    assert outcomes["hyena:direct", "forward"] == ("ok", None)
    assert outcomes["hyena:direct", "training"] == ("unsupported", "no backward pass")
