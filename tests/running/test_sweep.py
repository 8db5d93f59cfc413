from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from builders import make_fingerprint, make_scenario
from scripted import Orders, write_script

from hyenaprof.analysis.crossover import find_all
from hyenaprof.errors import FingerprintError
from hyenaprof.model import ChoiceLine, CrossoverState, EndLine, Outcome, Phase, SkipLine, Visit
from hyenaprof.operators import OPERATORS
from hyenaprof.records.journal import NAME, Journal, read_journal
from hyenaprof.running.runner import Interrupted, SweepRequest, sweep
from hyenaprof.running.workers import Worker

CROSSING = {"hyena": (1e-6, 1.0), "flash": (1e-6 / 3000, 2.0)}
"""Equal at 3000 tokens."""
FAST = {"hyena": (1e-7, 1.0), "flash": (1e-7, 1.0)}
PHASES = 3


@dataclass
class Told:
    """A display that keeps what it is told.

    Attributes:
        notes: Notes, and warnings marked as such.
        failures: Outcome and reason of visits that failed, by what was visited.
        stop_after: Interrupts, as Ctrl-C would, after so many visits.
    """

    notes: list[str] = field(default_factory=list)
    failures: list[tuple[str, Outcome, str]] = field(default_factory=list)
    visits: int = 0
    stop_after: int | None = None
    closed: int = 0

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.notes.append(f"warning: {text}")

    def clock(self, left_s, needed_s):
        pass

    def begin_visit(self, iteration, round_, predicted_s):
        pass

    def progress(self, progress):
        pass

    def end_visit(self, *_):
        self.visits += 1
        if self.visits == self.stop_after:
            raise KeyboardInterrupt

    def failed(self, iteration, outcome, reason):
        self.failures.append((str(iteration), outcome, reason))

    def close(self):
        self.closed += 1


@pytest.fixture
def go(tmp_path):
    """Runs a sweep of hyena and flash whose workers are scripts; gives the run, what was told, and the script."""

    def run(orders=None, *, fresh=False, refine=True, stop_after=None, pythons=None, force=False, **scenario):
        script = write_script(tmp_path, orders or Orders(laws=FAST))
        asked = make_scenario(**{"device": "fake", "lengths": [1024, 2048], "rounds": 2, **scenario})
        request = SweepRequest(
            asked,
            out=tmp_path / "run",
            fresh=fresh,
            refine=refine,
            pythons=dict.fromkeys(pythons or ("hyena:fft", "flash:sdpa"), str(script.path)),
            force=force,
        )
        told = Told(stop_after=stop_after)
        try:
            return sweep(request, told), told, script
        except Interrupted as stopped:
            return stopped.folder, told, script

    return run


def lines_of(run, kind):
    return [line for line in read_journal(run.folder / NAME)[0] if isinstance(line, kind)]


def keys_of(run):
    return Counter(
        (visit.point.label, visit.point.phase, visit.point.shape.length, visit.round) for visit in lines_of(run, Visit)
    )


def outcomes_of(run, operator):
    return {
        (r.point.phase, r.point.shape.length): (r.outcome, r.reason)
        for r in run.records
        if r.point.operator == operator
    }


def test_a_sweep_visits_every_point_once_a_round(go):
    run, told, _ = go()
    keys = keys_of(run)
    assert set(keys.values()) == {1}
    assert len(keys) == 2 * PHASES * 2 * 2
    assert run.finished
    assert run.ends[-1].reason == "nothing is left to measure"
    assert (told.failures, told.closed) == ([], 1)


def test_sides_alternate_and_the_shorter_length_and_the_cheaper_iteration_come_first(go):
    run, _, _ = go()
    order = [(v.round, v.point.shape.length, v.point.phase, v.point.operator, v.order) for v in lines_of(run, Visit)]
    first, second = ("hyena", "flash"), ("flash", "hyena")
    expected = [
        (round_, length, phase, operator, place)
        for round_, sides in ((0, first), (1, second))
        for length in (1024, 2048)
        for phases in ((Phase.FORWARD,), (Phase.BACKWARD, Phase.TRAINING))
        for place, operator in enumerate(sides)
        for phase in phases
    ]
    assert order == expected


def test_every_round_has_workers_of_its_own_and_each_side_one(go):
    _, _, script = go()
    by_round = {}
    for body in script.asked("measure"):
        by_round.setdefault((body["round"], body["points"][0]["operator"]), set()).add(body["pid"])
    assert {len(pids) for pids in by_round.values()} == {1}
    assert len({pid for pids in by_round.values() for pid in pids}) == 4


def test_three_sides_start_one_worker_a_pairing_beyond_the_first(go):
    operators = {"hyena": {"implementations": ["fft"]}, "flash": {"implementations": ["sdpa"]}, "attention": {}}
    run, _, script = go(pythons=("hyena:fft", "flash:sdpa", "attention:math"), operators=operators)
    assert set(keys_of(run).values()) == {1}
    pairings = 2 * 2
    second_round = {body["pid"] for body in script.asked("measure") if body["round"] == 1}
    assert len(second_round) == 3 + (pairings - 1)


def test_a_point_is_checked_and_its_memory_measured_before_it_is_first_timed(go):
    run, _, script = go(phases="forward", lengths=[1024])
    hyena = [b for b in script.requests if b["verb"] != "hello" and "hyena" in json.dumps(b)]
    assert [(b["verb"], b.get("at_length")) for b in hyena] == [
        ("describe", None),
        ("verify", False),
        ("memory", None),
        ("verify", True),
        ("measure", None),
        ("measure", None),
    ]
    record = run.records[0]
    assert record.memory.peak_bytes == 1000
    assert record.cost.source == "script"


def test_backward_and_training_are_asked_for_in_one_iteration(go):
    _, _, script = go(lengths=[1024], rounds=1)
    asked = {tuple(point["phase"] for point in body["points"]) for body in script.asked("measure")}
    assert asked == {("forward",), ("backward", "training")}


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
    assert len([body for body in script.asked("verify") if body["point"]["operator"] == "flash"]) == 1


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
    run, _, _ = go(orders, force=True, phases="forward")
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


def test_a_point_predicted_past_the_budget_is_left_out_with_its_prediction(go):
    laws = {"hyena": (1e-7, 1.0), "flash": (1e-6, 2.0)}
    run, _, script = go(Orders(laws=laws), lengths=[64, 8192], phases="forward", budget="20s")
    (record,) = (r for r in run.records if r.outcome is not Outcome.OK)
    assert (record.outcome, record.point.operator, record.point.shape.length) == (Outcome.OVER_BUDGET, "flash", 8192)
    assert record.predicted_s == pytest.approx(1.1 * 1e-6 * 8192**2, rel=0.01)
    assert record.reason.startswith("its first visit is predicted to take about 6 m 46 s, with ")
    assert run.ends[-1] == EndLine(
        complete=False, reason="the budget was reached; points not measured: 1", elapsed_s=run.ends[-1].elapsed_s
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


def test_an_interrupted_sweep_keeps_every_finished_visit_and_leaves_no_worker(go):
    folder, told, script = go(stop_after=3)
    lines, warnings = read_journal(folder / NAME)
    assert len([line for line in lines if isinstance(line, Visit)]) == 4  # forward twice, backward with training
    assert warnings == ()
    assert told.closed == 1
    for pid in {body["pid"] for body in script.requests}:
        assert not is_running(pid)
    Journal(folder / NAME).close()  # it is not held any more


def is_running(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("stop_after", [1, 2, 5, 9, 14])
def test_an_interrupted_sweep_goes_on_and_ends_as_an_uninterrupted_one_does(go, stop_after):
    folder, _, _ = go(stop_after=stop_after)
    before = (folder / NAME).read_bytes()
    run, told, script = go()
    assert run.folder == folder
    assert (folder / NAME).read_bytes().startswith(before)
    assert told.notes[0].startswith("going on with ")
    assert set(keys_of(run).values()) == {1}
    assert len(keys_of(run)) == 2 * PHASES * 2 * 2
    assert len(run.checks) == len({check.point for check in run.checks})
    assert len(run.ceilings) == 1
    assert run.finished
    assert len(script.asked("ceilings")) == 1


def test_a_visit_torn_between_its_phases_is_completed(go):
    run, _, _ = go(phases=["backward", "training"], lengths=[1024])
    journal = run.folder / NAME
    texts = journal.read_bytes().splitlines(keepends=True)
    training = next(n for n in reversed(range(len(texts))) if b'"visit"' in texts[n] and b'"training"' in texts[n])
    journal.write_bytes(b"".join(texts[:training]) + texts[training][:100])
    again, told, script = go(phases=["backward", "training"], lengths=[1024])
    assert any("last line was torn" in note for note in told.notes)
    assert set(keys_of(again).values()) == {1}
    assert keys_of(again) == keys_of(run)
    assert [point["phase"] for point in script.asked("measure")[-1]["points"]] == ["training"]


def test_a_finished_run_is_left_as_it_is_and_a_new_one_begun(go):
    first, _, _ = go()
    before = (first.folder / NAME).read_bytes()
    second, told, _ = go()
    assert second.folder == first.folder.with_name("run-2")
    assert (first.folder / NAME).read_bytes() == before
    assert not any("going on" in note for note in told.notes)


def test_more_rounds_of_an_unfinished_run_go_on_in_its_folder(go):
    folder, _, _ = go(stop_after=9, rounds=2)
    run, _, _ = go(rounds=3)
    assert run.folder == folder
    assert set(keys_of(run).values()) == {1}
    assert {visit.round for visit in lines_of(run, Visit)} == {0, 1, 2}
    assert len(keys_of(run)) == 2 * PHASES * 2 * 3


def test_another_fingerprint_stops_with_the_difference_and_writes_nothing(go):
    folder, _, _ = go(stop_after=3)
    before = (folder / NAME).read_bytes()
    with pytest.raises(FingerprintError) as caught:
        go(Orders(laws=FAST, hello=on_torch("2.14.0")))
    assert "software.torch: 2.13.0 there, 2.14.0 here" in caught.value.message
    assert "--fresh" in caught.value.hint
    assert caught.value.exit_code == 3
    assert (folder / NAME).read_bytes() == before


def test_fresh_begins_anew_on_another_fingerprint(go):
    folder, _, _ = go(stop_after=3)
    run, _, _ = go(Orders(laws=FAST, hello=on_torch("2.14.0")), fresh=True)
    assert run.folder == folder.with_name("run-2")
    assert len(run.headers) == 1


def on_torch(version):
    fingerprint = make_fingerprint(torch=version)
    return {"fingerprint": fingerprint.model_dump(mode="json"), "fingerprint_id": fingerprint.id}


def test_a_side_whose_other_environment_changed_stops_the_run_too(go, tmp_path):
    folder, _, _ = go(stop_after=3)
    before = (folder / NAME).read_bytes()
    old = write_script(tmp_path, Orders(laws=FAST), name="old")
    new = write_script(tmp_path, Orders(laws=FAST, hello=on_torch("2.14.0")), name="new")
    request = SweepRequest(
        make_scenario(device="fake", lengths=[1024, 2048], rounds=2),
        out=tmp_path / "run",
        pythons={"hyena:fft": str(old.path), "flash:sdpa": str(new.path)},
    )
    with pytest.raises(FingerprintError, match="2.13.0 there, 2.14.0 here"):  # noqa: RUF043 -- dots are dots
        sweep(request, Told())
    assert (folder / NAME).read_bytes().startswith(before)


def test_two_environments_are_compared_in_one_run_with_a_header_each(tmp_path):
    old = write_script(tmp_path, Orders(laws=FAST), name="old")
    new = write_script(tmp_path, Orders(laws=FAST, hello=on_torch("2.14.0")), name="new")
    request = SweepRequest(
        make_scenario(device="fake", lengths=[1024], phases="forward", rounds=2),
        out=tmp_path / "run",
        pythons={"hyena:fft": str(old.path), "flash:sdpa": str(new.path)},
    )
    run = sweep(request, Told())
    assert [header.fingerprint.software["torch"] for header in run.headers] == ["2.13.0", "2.14.0"]
    assert {r.point.operator: run.fingerprints[r.fingerprint_id].software["torch"] for r in run.records} == {
        "hyena": "2.13.0",
        "flash": "2.14.0",
    }
    assert {body["points"][0]["operator"] for body in old.asked("measure")} == {"hyena"}
    assert str(tmp_path) not in (run.folder / NAME).read_text(encoding="utf-8")


def test_a_crossover_is_refined_between_the_lengths_of_the_grid(go):
    run, told, _ = go(
        Orders(laws=CROSSING), lengths=[1024, 2048, 4096, 8192], phases="forward", rounds=None, precision="1%"
    )
    (crossover,) = find_all(run.records)
    assert crossover.state is CrossoverState.RESOLVED
    assert crossover.flips[0].low <= 3000 <= crossover.flips[0].high
    assert any("refining the crossover at" in note for note in told.notes)
    assert {r.point.shape.length for r in run.records} > {1024, 2048, 4096, 8192}
    assert all(len(record.visits) >= 5 for record in run.records)
    assert run.finished


def test_a_refined_run_that_was_interrupted_takes_its_own_lengths_up_again(go):
    asked = {"lengths": [1024, 2048, 4096, 8192], "phases": "forward", "rounds": None, "precision": "1%"}
    go(Orders(laws=CROSSING), stop_after=4 * 2 * 3 + 13, **asked)
    run, _, _ = go(Orders(laws=CROSSING), **asked)
    assert set(keys_of(run).values()) == {1}
    assert run.finished
    sides = {r.point.operator: {} for r in run.records}
    for record in run.records:
        sides[record.point.operator][record.point.shape.length] = {visit.round for visit in record.visits}
    assert sides["hyena"] == sides["flash"], "no round of one side lacks the other"
    assert all(len(record.visits) >= 5 for record in run.records)


def test_without_refinement_only_the_grid_is_measured(go):
    asked = {"lengths": [1024, 2048, 4096], "phases": "forward", "rounds": None, "precision": "5%"}
    run, _, _ = go(Orders(laws=CROSSING), refine=False, **asked)
    assert {r.point.shape.length for r in run.records} == {1024, 2048, 4096}


def test_lengths_go_down_while_the_challenger_leads_at_the_shortest_and_it_is_said(go):
    laws = {"hyena": (1e-6, 1.0), "flash": (1e-6 / 300, 2.0)}
    run, told, _ = go(Orders(laws=laws), lengths={"to": 2048}, phases="forward")
    assert sorted({r.point.shape.length for r in run.records}) == [256, 512, 1024, 2048]
    assert [note for note in told.notes if "going down" in note] == [
        "the challenger already leads at 1024: going down to 512",
        "the challenger already leads at 512: going down to 256",
    ]
    assert set(keys_of(run).values()) == {1}
    assert {visit.round for visit in lines_of(run, Visit) if visit.point.shape.length == 256} == {0, 1}


def test_lengths_stop_at_64_however_far_the_challenger_leads(go):
    laws = {"hyena": (1e-7, 1.0), "flash": (1e-5, 1.0)}
    run, _, _ = go(Orders(laws=laws), lengths={"to": 1024}, phases="forward", rounds=1)
    assert min(r.point.shape.length for r in run.records) == 64


def test_a_shortest_length_that_was_asked_for_is_the_shortest(go):
    laws = {"hyena": (1e-7, 1.0), "flash": (1e-5, 1.0)}
    run, _, _ = go(Orders(laws=laws), lengths={"from": 1024, "to": 1024}, phases="forward", rounds=1)
    assert {r.point.shape.length for r in run.records} == {1024}


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


def test_a_choice_holds_when_the_run_goes_on(go, two_ways):
    laws = {"hyena:fft": (2e-7, 1.0), "hyena:direct": (1e-7, 1.0)}
    folder, _, _ = go(Orders(laws=laws), pythons=PYTHONS, stop_after=1, **two_ways)
    turned = {"hyena:fft": (1e-9, 1.0), "hyena:direct": (1e-7, 1.0)}
    run, _, _ = go(Orders(laws=turned), pythons=PYTHONS, **two_ways)
    assert run.folder == folder
    assert len(lines_of(run, ChoiceLine)) == 1
    assert {r.point.label for r in run.records} == {"hyena:direct", "flash:sdpa"}


def test_at_most_two_workers_live_at_once(go, monkeypatch):
    alive, most = set(), [0]
    begin, end = Worker.__init__, Worker.kill

    def counted(self, *arguments, **named):
        begin(self, *arguments, **named)
        alive.add(self)
        most[0] = max(most[0], len(alive))

    def ended(self):
        alive.discard(self)
        end(self)

    monkeypatch.setattr(Worker, "__init__", counted)
    monkeypatch.setattr(Worker, "kill", ended)
    operators = {"hyena": {"implementations": ["fft"]}, "flash": {"implementations": ["sdpa"]}, "attention": {}}
    run, _, _ = go(pythons=("hyena:fft", "flash:sdpa", "attention:math"), operators=operators, phases="forward")
    assert most == [2]
    assert alive == set()
    assert len(keys_of(run)) == 3 * 2 * 2
