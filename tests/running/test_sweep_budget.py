"""The budget: what is left out for it, and that a sweep ends within it whatever hangs."""

from __future__ import annotations

import re
import time

import pytest
from builders import make_scenario
from scripted import Orders, write_script
from sweeps import FAST, RecordingDisplay, keys_of, lines_of, outcomes_of

from hyenaprof.errors import WorkerError
from hyenaprof.model import Outcome, Phase, SkipLine
from hyenaprof.running.runner import SweepRequest, sweep
from hyenaprof.running.session import Session
from hyenaprof.running.workers import Refused


def test_a_point_predicted_past_the_budget_is_left_out_with_its_prediction(go):
    laws = {"hyena": (1e-7, 1.0), "flash": (1e-6, 2.0)}
    run, _, script = go(Orders(laws=laws), lengths=[64, 8192], phases="forward", budget="20s")
    (record,) = (r for r in run.records if r.outcome is not Outcome.OK)
    assert (record.outcome, record.point.operator, record.point.shape.length) == (Outcome.OVER_BUDGET, "flash", 8192)
    assert record.predicted_s == pytest.approx(1.1 * 1e-6 * 8192**2, rel=0.01)
    assert record.reason.startswith("its first visit is predicted to take about 6 m 46 s, with ")
    assert re.fullmatch(
        r"what is left is predicted to take longer than the \d+ s left of the budget; points not measured: 1",
        run.ends[-1].reason,
    )
    assert not run.finished
    tried = {(b["points"][0]["operator"], b["points"][0]["shape"]["length"]) for b in script.asked("measure")}
    assert tried == {("hyena", 64), ("flash", 64), ("hyena", 8192)}


def test_a_point_left_out_is_measured_when_the_run_goes_on_with_more_time(go):
    laws = {"hyena": (1e-7, 1.0), "flash": (1e-6, 2.0)}
    first, _, _ = go(Orders(laws=laws), lengths=[64, 8192], phases="forward", budget="20s")
    run, told, _ = go(Orders(laws=laws), lengths=[64, 8192], phases="forward", budget="2h")
    assert run.folder == first.folder
    assert told.notes[0].startswith(f"going on with {run.folder}: 6 visits stand")
    assert {record.outcome for record in run.records} == {Outcome.OK}
    assert set(keys_of(run).values()) == {1}
    assert run.finished


def test_a_visit_that_the_end_of_the_budget_cuts_off_is_over_budget_and_not_a_failure(go):
    fault = {"verb": "measure", "kind": "hang", "operator": "flash"}
    begun_s = time.monotonic()
    run, told, _ = go(Orders(laws=FAST, faults=(fault,)), phases="forward", lengths=[1024], budget="2s", rounds=1)
    assert time.monotonic() - begun_s < 1.2 * 2 + 1
    assert outcomes_of(run, "flash")[Phase.FORWARD, 1024][0] is Outcome.OVER_BUDGET
    assert any("cut off at the end of the budget" in note for note in told.notes)
    assert [line.outcome for line in lines_of(run, SkipLine)] == [Outcome.OVER_BUDGET]
    assert run.ends[-1].reason == "the budget was reached; points not measured: 1"


@pytest.mark.parametrize("verb", ["describe", "verify", "ceilings", "memory"])
def test_whatever_hangs_the_sweep_ends_within_its_budget(go, verb):
    begun_s = time.monotonic()
    run, _, _ = go(
        Orders(laws=FAST, faults=({"verb": verb, "kind": "hang", "operator": "flash"},)),
        phases="forward",
        lengths=[1024],
        budget="2s",
        rounds=1,
    )
    assert time.monotonic() - begun_s < 1.2 * 2 + 1
    assert run.ends
    if verb in {"describe", "verify", "memory"}:
        (record,) = (r for r in run.records if r.point.operator == "flash")
        assert record.outcome is Outcome.OVER_BUDGET
        assert record.predicted_s is None, "a prediction needs something to rest on"
        assert not run.finished


def two_environments(folder, *, first=(), second=()):
    """A sweep of 2 s whose sides start in environments of their own, with these faults."""
    scripts = [
        write_script(folder, Orders(laws=FAST, faults=faults), name=name)
        for name, faults in (("first", first), ("second", second))
    ]
    return SweepRequest(
        make_scenario(device="fake", lengths=[64, 128, 256, 512], rounds=2, budget="2s"),
        out=folder / "run",
        pythons={"hyena:fft": str(scripts[0].path), "flash:sdpa": str(scripts[1].path)},
    )


def test_a_worker_that_never_starts_costs_its_side_and_not_more_than_the_budget(tmp_path):
    begun_s = time.monotonic()
    run = sweep(two_environments(tmp_path, second=({"verb": "hello", "kind": "hang"},)), RecordingDisplay())
    assert time.monotonic() - begun_s < 1.2 * 2 + 1
    assert {r.outcome for r in run.records if r.point.operator == "flash"} == {Outcome.OVER_BUDGET}
    assert run.ends[-1].reason.startswith("the budget was reached; ")


def test_a_first_worker_that_never_starts_is_an_error_within_the_budget(tmp_path):
    begun_s = time.monotonic()
    with pytest.raises(WorkerError, match=r"no worker had started when the budget of 2.0 s ended"):
        sweep(two_environments(tmp_path, first=({"verb": "hello", "kind": "hang"},)), RecordingDisplay())
    assert time.monotonic() - begun_s < 1.2 * 2 + 1


def test_a_side_cut_off_after_its_first_iteration_leaves_no_point_without_a_row(go, monkeypatch):
    described = Session.describe

    def describe(self, side, points):
        if side.operator == "flash" and points[0].phase is Phase.BACKWARD:
            monkeypatch.setattr(Session, "left_s", property(lambda _: 0.0))
            raise Refused.of(Outcome.TIMEOUT, "no answer")
        described(self, side, points)

    monkeypatch.setattr(Session, "describe", describe)
    run, _, _ = go(lengths=[1024], rounds=1)
    assert {(r.point.operator, r.point.phase) for r in run.records} == {
        (name, phase) for name in ("hyena", "flash") for phase in (Phase.FORWARD, Phase.BACKWARD, Phase.TRAINING)
    }
    assert {r.outcome for r in run.records} == {Outcome.OVER_BUDGET}
