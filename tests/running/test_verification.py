"""Implementations checked outside any run, by workers that are scripts."""

from __future__ import annotations

import pytest
from builders import make_scenario
from scripted import Orders, write_script

from hyenaprof.model import Outcome
from hyenaprof.running import verification as under_test
from hyenaprof.running.workers import Side

OPERATORS = {"hyena": {"implementations": ["fft", "chunked"]}, "flash": {"implementations": ["sdpa"]}}
SHAPES = [(length, batch) for length in (1, 63) for batch in (1, 3)]


@pytest.fixture
def go(tmp_path, monkeypatch):
    """Verifies three implementations at four shapes; gives what came of them, by label, and the script."""

    def run(*faults, timeout_s=20.0, **orders):
        script = write_script(tmp_path, Orders(faults=faults, **orders))
        monkeypatch.setattr(under_test, "_ALL", Side("", "", python=str(script.path)))
        asked = make_scenario(
            operators=OPERATORS, lengths=[1, 63], batch=[1, 3], width=32, device="fake", phases="forward"
        )
        results = list(under_test.verification(asked, timeout_s=timeout_s))
        by_label = {}
        for result in results:
            by_label.setdefault(result.point.label, []).append(result)
        return by_label, script

    return run


def outcomes(results):
    return [result.outcome for result in results]


def pids(script, label):
    asked = script.asked("verify")
    return [b["pid"] for b in asked if f"{b['point']['operator']}:{b['point']['implementation']}" == label]


def test_every_implementation_is_checked_at_every_shape_by_one_worker(go):
    by_label, script = go()
    assert list(by_label) == ["hyena:fft", "hyena:chunked", "flash:sdpa"]
    for results in by_label.values():
        assert [(r.point.shape.length, r.point.shape.batch) for r in results] == SHAPES
        assert set(outcomes(results)) == {Outcome.OK}
        assert not any(result.red for result in results)
    assert len({body["pid"] for body in script.requests}) == 1


def test_what_is_off_is_red_and_says_by_how_much(go):
    by_label, _ = go(errors={"hyena:chunked": 0.25})
    (reason,) = {result.reason for result in by_label["hyena:chunked"] if result.point.shape.length == 63}
    assert reason == "output: error 0.25, tolerance 1e-05 at L=63, by float64 definition"
    assert all(result.red for result in by_label["hyena:chunked"])
    assert by_label["hyena:chunked"][0].worst("output").share == pytest.approx(25000)
    assert not any(result.red for result in by_label["hyena:fft"])


def test_what_cannot_run_here_keeps_its_reason_and_is_not_red(go):
    fault = {"verb": "verify", "kind": "refuse", "outcome": "unsupported", "reason": "needs CUDA", "operator": "flash"}
    by_label, _ = go(fault)
    assert {(r.outcome, r.reason, r.red) for r in by_label["flash:sdpa"]} == {("unsupported", "needs CUDA", False)}


def test_a_crash_is_tried_once_more_in_a_fresh_worker_and_costs_no_other_shape_or_implementation(go):
    fault = {"verb": "verify", "kind": "signal", "number": 11, "implementation": "chunked", "from_length": 63}
    by_label, script = go(fault)
    assert outcomes(by_label["hyena:chunked"]) == [Outcome.OK] * 2 + [Outcome.CRASHED] * 2
    assert "the worker ended with SIGSEGV" in by_label["hyena:chunked"][2].reason
    assert outcomes(by_label["flash:sdpa"]) == [Outcome.OK] * 4
    # The first worker has served hyena:fft too, so that its crash is tried again; the two after it served none besides.
    assert len(set(pids(script, "hyena:chunked"))) == 3
    assert len(pids(script, "hyena:chunked")) == 5


def test_what_hangs_is_killed_and_not_tried_again(go):
    fault = {"verb": "verify", "kind": "hang", "implementation": "chunked", "from_length": 63}
    by_label, script = go(fault, timeout_s=2.0)
    *fine, hung, untried = by_label["hyena:chunked"]
    assert outcomes(fine) == [Outcome.OK] * 2
    assert (hung.outcome, hung.reason) == (Outcome.TIMEOUT, "no answer within 2 s; the worker was killed")
    assert (untried.outcome, untried.reason) == (Outcome.TIMEOUT, "not tried: no answer at L=63, B=1")
    assert len(pids(script, "hyena:chunked")) == 3
    assert outcomes(by_label["flash:sdpa"]) == [Outcome.OK] * 4


def test_an_operator_that_cannot_tell_its_parameters_is_checked_all_the_same(go):
    fault = {"verb": "describe", "kind": "signal", "number": 11, "operator": "hyena"}
    by_label, _ = go(fault)
    assert [result.parameters for result in by_label["hyena:fft"]] == [None] * 4
    assert [result.parameters for result in by_label["flash:sdpa"]] == [0] * 4
    assert outcomes(by_label["hyena:fft"]) == [Outcome.OK] * 4
