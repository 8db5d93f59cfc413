"""Runs that were stopped, that go on, that are left alone, or that belong to another machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import make_fingerprint, make_scenario
from scripted import Orders, write_script
from sweeps import CROSSING, FAST, PHASES, RecordingDisplay, keys_of, lines_of

from hyenaprof.errors import FingerprintError
from hyenaprof.model import Visit
from hyenaprof.records.journal import NAME, Journal, read_journal
from hyenaprof.running.runner import SweepRequest, sweep


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
    said = [note for note in told.notes if "finished" in note]
    assert said == [f"{first.folder} is finished and stays as it is: {second.folder} begins anew"]


def test_more_rounds_of_an_unfinished_run_go_on_in_its_folder(go):
    folder, _, _ = go(stop_after=9, rounds=2)
    run, _, _ = go(rounds=3)
    assert run.folder == folder
    assert set(keys_of(run).values()) == {1}
    assert {visit.round for visit in lines_of(run, Visit)} == {0, 1, 2}
    assert len(keys_of(run)) == 2 * PHASES * 2 * 3


def test_more_rounds_of_a_finished_run_go_on_in_its_folder_and_fewer_do_not(go):
    first, _, _ = go(rounds=2)
    run, told, _ = go(rounds=3)
    assert run.folder == first.folder
    assert told.notes[0].startswith("going on with ")
    assert set(keys_of(run).values()) == {1}
    assert {visit.round for visit in lines_of(run, Visit)} == {0, 1, 2}
    assert run.finished
    assert run.scenario.rounds == 3
    fewer, _, _ = go(rounds=2)
    assert fewer.folder == first.folder.with_name("run-2")


def test_a_finer_precision_goes_on_with_a_finished_run_and_a_coarser_does_not(go):
    asked = {"phases": "forward", "rounds": None, "request": {"refine": False}}
    first, _, _ = go(precision="20%", **asked)
    visits = len(lines_of(first, Visit))
    assert first.finished
    run, _, _ = go(precision="0.1%", **asked)
    assert run.folder == first.folder
    assert len(lines_of(run, Visit)) > visits
    coarser, _, _ = go(precision="20%", **asked)
    assert coarser.folder == first.folder.with_name("run-2")


def test_rounds_after_a_refined_run_are_of_the_grid_alone_and_finish_it(go):
    lengths = [1024, 2048, 4096, 8192]
    refined, _, _ = go(Orders(laws=CROSSING), lengths=lengths, phases="forward", rounds=None, precision="1%")
    run, _, _ = go(Orders(laws=CROSSING), lengths=lengths, phases="forward", rounds=12)
    assert run.folder == refined.folder
    assert run.finished
    counts = {r.point.shape.length: len(r.visits) for r in run.records}
    assert {counts[length] for length in lengths} == {12}
    assert min(counts.values()) < 12


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
    run, _, _ = go(Orders(laws=FAST, hello=on_torch("2.14.0")), request={"fresh": True})
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
        sweep(request, RecordingDisplay())
    assert (folder / NAME).read_bytes().startswith(before)


def test_two_environments_are_compared_in_one_run_with_a_header_each(tmp_path):
    old = write_script(tmp_path, Orders(laws=FAST), name="old")
    new = write_script(tmp_path, Orders(laws=FAST, hello=on_torch("2.14.0")), name="new")
    request = SweepRequest(
        make_scenario(device="fake", lengths=[1024], phases="forward", rounds=2),
        out=tmp_path / "run",
        pythons={"hyena:fft": str(old.path), "flash:sdpa": str(new.path)},
    )
    run = sweep(request, RecordingDisplay())
    assert [header.fingerprint.software["torch"] for header in run.headers] == ["2.13.0", "2.14.0"]
    assert {r.point.operator: run.fingerprints[r.fingerprint_id].software["torch"] for r in run.records} == {
        "hyena": "2.13.0",
        "flash": "2.14.0",
    }
    assert {body["points"][0]["operator"] for body in old.asked("measure")} == {"hyena"}
    assert str(tmp_path) not in (run.folder / NAME).read_text(encoding="utf-8")
