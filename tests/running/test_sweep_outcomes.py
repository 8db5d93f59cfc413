"""What goes wrong with one point of a sweep, and that the others are measured all the same."""

from __future__ import annotations

import pytest
from scripted import Orders
from sweeps import FAST, keys_of, lines_of, outcomes_of

from hyenaprof.model import Outcome, Phase, SkipLine


def test_what_fails_verification_is_incorrect_and_never_timed(go):
    run, told, script = go(Orders(laws=FAST, errors={"hyena": 0.25}))
    for outcome, reason in outcomes_of(run, "hyena").values():
        assert outcome is Outcome.INCORRECT
        assert reason == "output: error 0.25, tolerance 1e-05 at L=127, by float64 definition"
    assert all(body["points"][0]["operator"] == "flash" for body in script.asked("measure"))
    assert len([body for body in script.asked("verify") if body["point"]["operator"] == "hyena"]) == 1
    assert len(told.failures) == 1
    assert {outcome for outcome, _ in outcomes_of(run, "flash").values()} == {Outcome.OK}


def test_what_is_wrong_only_at_a_length_is_incorrect_there(go):
    fault = {"verb": "verify", "kind": "refuse", "at_length": True, "operator": "hyena", "from_length": 2048}
    run, _, _ = go(Orders(laws=FAST, faults=({**fault, "outcome": "incorrect", "reason": "output: not finite"},)))
    found = outcomes_of(run, "hyena")
    assert {outcome for (_, length), (outcome, _) in found.items() if length == 1024} == {Outcome.OK}
    assert {at for at, (outcome, _) in found.items() if outcome is Outcome.INCORRECT} == {
        (p, 2048) for p in list(Phase)[:3]
    }


@pytest.mark.parametrize("verb", ["describe", "verify", "memory", "measure"])
def test_a_worker_that_dies_costs_its_side_and_not_the_run(go, verb):
    run, _, _ = go(Orders(laws=FAST, faults=({"verb": verb, "kind": "signal", "number": 11, "operator": "flash"},)))
    for outcome, reason in outcomes_of(run, "flash").values():
        assert outcome is Outcome.CRASHED
        assert "the worker ended with SIGSEGV" in reason
    assert {outcome for outcome, _ in outcomes_of(run, "hyena").values()} == {Outcome.OK}
    assert len(outcomes_of(run, "flash")) == len(outcomes_of(run, "hyena")) == 6
    assert run.finished


def test_a_crash_in_a_later_round_keeps_what_was_measured_and_makes_the_point_that_failure(go):
    fault = {"verb": "measure", "kind": "exit", "status": 9, "operator": "flash", "from_round": 1, "from_length": 2048}
    run, _, _ = go(Orders(laws=FAST, faults=(fault,)), phases="forward", rounds=3)
    (record,) = (r for r in run.records if r.point.operator == "flash" and r.point.shape.length == 2048)
    assert (record.outcome, len(record.visits), len(record.failures)) == (Outcome.CRASHED, 1, 1)
    assert {len(r.visits) for r in run.records if r is not record} == {3}


def test_a_crash_at_one_length_leaves_the_longer_ones_to_be_tried(go):
    script_fault = {"verb": "measure", "kind": "refuse", "outcome": "crashed", "reason": "x", "operator": "flash"}
    run, told, _ = go(Orders(laws=FAST, faults=(script_fault,)), phases="forward")
    assert [outcome for outcome, _ in outcomes_of(run, "flash").values()] == [Outcome.CRASHED, Outcome.CRASHED]
    assert len(told.failures) == 2


def test_what_is_not_supported_is_told_once_and_timed_nowhere(go):
    fault = {"verb": "verify", "kind": "refuse", "outcome": "unsupported", "reason": "needs sm_90", "operator": "flash"}
    run, told, script = go(Orders(laws=FAST, faults=(fault,)))
    assert set(outcomes_of(run, "flash").values()) == {(Outcome.UNSUPPORTED, "needs sm_90")}
    assert [failure[1:] for failure in told.failures] == [(Outcome.UNSUPPORTED, "needs sm_90")]
    asked = [body["point"]["phase"] for body in script.asked("verify") if body["point"]["operator"] == "flash"]
    assert asked == ["training", "forward"]  # it might have been the backward pass alone that is missing


def test_a_point_that_cannot_fit_by_its_formula_is_oom_inferred_and_not_tried(go):
    run, _, script = go(Orders(laws=FAST, need_bytes_per_token={"flash": 2**20}))
    found = {r.point.shape.length: r for r in run.records if r.point.operator == "flash" and r.point.phase == "forward"}
    assert found[1024].outcome is Outcome.OK
    assert (found[2048].outcome, found[2048].inferred) == (Outcome.OOM, True)
    assert found[2048].reason == "needs about 2 GiB by its formula, 1 GiB may be used; not attempted"
    tried = {
        b["points"][0]["shape"]["length"] for b in script.asked("measure") if b["points"][0]["operator"] == "flash"
    }
    assert tried == {1024}


def test_what_ran_out_of_memory_is_not_tried_any_longer(go):
    fault = {
        "verb": "memory",
        "kind": "refuse",
        "outcome": "oom",
        "reason": "full",
        "operator": "flash",
        "from_length": 2048,
    }
    run, _, script = go(Orders(laws=FAST, faults=(fault,)), lengths=[1024, 2048, 4096], phases="forward")
    found = {r.point.shape.length: r for r in run.records if r.point.operator == "flash"}
    assert (found[2048].outcome, found[2048].reason, found[2048].inferred) == (Outcome.OOM, "full", False)
    assert (found[4096].outcome, found[4096].inferred) == (Outcome.OOM, True)
    assert found[4096].reason == "out of memory at 2k already; not attempted"
    assert 4096 not in {
        body["points"][0]["shape"]["length"]
        for body in script.asked("memory")
        if body["points"][0]["operator"] == "flash"
    }


def test_what_an_earlier_session_did_not_attempt_is_tried_when_forced(go):
    orders = Orders(laws=FAST, need_bytes_per_token={"flash": 2**20})
    go(orders, stop_after=3, phases="forward")
    run, _, _ = go(orders, request={"force": True}, phases="forward")
    assert any(line.inferred for line in lines_of(run, SkipLine))
    assert {outcome for outcome, _ in outcomes_of(run, "flash").values()} == {Outcome.OK}
    assert len(keys_of(run)) == 2 * 2 * 2


def test_a_point_that_hangs_is_a_timeout_and_the_rest_is_measured(go, monkeypatch):
    monkeypatch.setattr("hyenaprof.running.session.LEAST_LIMIT_S", 0.5)
    monkeypatch.setattr("hyenaprof.running.session.LIMIT_FACTOR", 0.0)
    monkeypatch.setattr("hyenaprof.running.session.CEILINGS_LIMIT_S", 0.0, raising=False)
    fault = {"verb": "measure", "kind": "hang", "operator": "flash", "from_length": 2048}
    run, _, _ = go(Orders(laws=FAST, faults=(fault,)), phases="forward")
    assert outcomes_of(run, "flash")[Phase.FORWARD, 2048][0] is Outcome.TIMEOUT
    assert {len(record.visits) for record in run.records if record.outcome is Outcome.OK} == {2}


def test_what_has_no_backward_pass_is_measured_forward_and_checked_there(go):
    no_backward = {"verb": "verify", "kind": "refuse", "outcome": "unsupported", "reason": "no backward pass"}
    fault = {**no_backward, "operator": "hyena", "phase": "training"}
    run, told, script = go(Orders(laws=FAST, faults=(fault,)))
    found = outcomes_of(run, "hyena")
    assert {outcome for (phase, _), (outcome, _) in found.items() if phase is Phase.FORWARD} == {Outcome.OK}
    others = {ended for (phase, _), ended in found.items() if phase is not Phase.FORWARD}
    assert others == {(Outcome.UNSUPPORTED, "no backward pass")}
    assert {outcome for outcome, _ in outcomes_of(run, "flash").values()} == {Outcome.OK}
    at_length = [
        b["point"]["phase"] for b in script.asked("verify") if b["at_length"] and b["point"]["operator"] == "hyena"
    ]
    assert at_length == ["forward", "forward"]
    assert len(told.failures) == 1
