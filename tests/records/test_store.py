from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from builders import STARTED_AT, make_check, make_fingerprint, make_point, make_scenario, make_visit

from hyenaprof.errors import JournalError, ScenarioError
from hyenaprof.model import CeilingsLine, ChoiceLine, EndLine, HeaderLine
from hyenaprof.records.journal import NAME, Journal
from hyenaprof.records.scenario import load_scenario
from hyenaprof.records.store import SCENARIO, begin_folder, choose_folder, load_run

SCENARIO_OF_RUN = make_scenario()
OTHER = make_scenario(width=128)
POINT = make_point()
HEADER = HeaderLine(hyenaprof="0.1.0", fingerprint=make_fingerprint(), started_at=STARTED_AT)
FINISHED = EndLine(complete=True, reason="nothing is left to measure", elapsed_s=1.0)
OUT_OF_BUDGET = EndLine(complete=False, reason="the budget was reached", elapsed_s=1.0)
VISIT = make_visit(POINT)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def begin(folder, *lines, scenario=SCENARIO_OF_RUN):
    begin_folder(Path(folder), scenario)
    with Journal(Path(folder) / NAME) as journal:
        journal.append(lines)
    return Path(folder)


def choose(scenario=SCENARIO_OF_RUN, *, out=None, fresh=False):
    return choose_folder(scenario, out=Path(out) if out else None, fresh=fresh)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_run_reads_as_it_was_written():
    lines = (
        HEADER,
        make_check(POINT),
        ChoiceLine(operator="hyena", implementation="fft", trial_s={}, fingerprint_id=HEADER.fingerprint.id),
        CeilingsLine(device="cpu", fingerprint_id=HEADER.fingerprint.id),
        VISIT,
        OUT_OF_BUDGET,
    )
    run = load_run(begin("mine", *lines))
    assert run.scenario == SCENARIO_OF_RUN
    assert (run.headers, run.checks, run.choices, run.ceilings, run.ends) == tuple(
        (line,) for line in (*lines[:4], lines[5])
    )
    assert [record.visits for record in run.records] == [(VISIT,)]
    assert run.fingerprints == {HEADER.fingerprint.id: HEADER.fingerprint}
    assert run.warnings == ()


@pytest.mark.parametrize("name", ["mine", "mine/", f"mine/{NAME}", f"mine/{SCENARIO}"])
def test_a_run_is_named_by_its_folder_or_its_files(name):
    begin("mine", VISIT)
    assert load_run(name).records[0].visits == (VISIT,)


def test_a_run_reads_from_inside_its_folder(monkeypatch):
    monkeypatch.chdir(begin("mine", VISIT))
    assert load_run(".").records[0].visits == (VISIT,)
    assert load_run(NAME).records[0].visits == (VISIT,)


def test_a_run_reads_without_the_package_of_its_operator():
    folder = begin("mine", VISIT)
    page = folder / SCENARIO
    page.write_text(page.read_text(encoding="utf-8").replace("hyena:", "theirs:\n    gain: 3.0"), encoding="utf-8")
    run = load_run(folder)
    assert run.records[0].visits == (VISIT,)
    assert dict(run.scenario.operators["theirs"].options) == {"gain": 3.0}
    with pytest.raises(ScenarioError, match="no operator 'theirs'"):
        load_scenario(page)


def test_a_torn_last_line_is_told_with_the_run():
    folder = begin("mine", VISIT)
    with (folder / NAME).open("ab") as journal:
        journal.write(b'{"kind":"vis')
    assert load_run(folder).warnings == (
        f"{NAME}: the last line was torn and is dropped; the visit under way was lost",
    )


@pytest.mark.parametrize(
    ("lines", "finished"),
    [
        ((), False),
        ((HEADER, VISIT), False),
        ((HEADER, OUT_OF_BUDGET), False),
        ((HEADER, FINISHED), True),
        ((HEADER, OUT_OF_BUDGET, HEADER, FINISHED), True),
        ((HEADER, FINISHED, HEADER, OUT_OF_BUDGET), False),
    ],
)
def test_a_run_is_finished_when_its_last_session_says_so(lines, finished):
    assert load_run(begin("mine", *lines)).finished is finished


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_without_a_journal_is_no_run(name):
    with pytest.raises(JournalError, match="no run in") as caught:
        load_run(name)
    assert "journal.jsonl" in caught.value.hint


def test_a_run_without_its_page_is_one_sentence():
    folder = begin("mine", VISIT)
    (folder / SCENARIO).unlink()
    with pytest.raises(ScenarioError, match=r"cannot read scenario scenario\.yaml"):
        load_run(folder)


def test_a_run_begins_in_a_folder_named_after_its_scenario():
    assert choose() == (Path(f"runs/hyena-vs-flash-{SCENARIO_OF_RUN.hash}"), None)
    assert not Path("runs").exists()


def test_an_unfinished_run_is_resumed():
    folder = begin(choose()[0], HEADER, VISIT)
    found, standing = choose()
    assert found == folder
    assert standing == load_run(folder)


@pytest.mark.parametrize("changed", [{"budget": "1h"}, {"precision": "9%"}, {"rounds": 3}])
def test_more_time_or_precision_resumes_the_same_run(changed):
    folder = begin(choose()[0], HEADER, VISIT, OUT_OF_BUDGET)
    assert choose(make_scenario(**changed))[0] == folder


def test_a_finished_run_is_left_alone_and_the_next_number_begun():
    folder = begin(choose()[0], HEADER, VISIT, FINISHED)
    second = Path(f"{folder}-2")
    assert choose() == (second, None)
    begin(second, HEADER)
    assert choose() == (second, load_run(second))
    begin(second, FINISHED)
    assert choose() == (Path(f"{folder}-3"), None)


def test_fresh_begins_anew_beside_an_unfinished_run():
    folder = begin("mine", HEADER, VISIT)
    assert choose(out="mine", fresh=True) == (Path("mine-2"), None)
    begin("mine-2", HEADER)
    assert choose(out="mine", fresh=True) == (Path("mine-3"), None)
    assert load_run(folder).records[0].visits == (VISIT,)


def test_fresh_passes_a_corrupt_run_by():
    folder = begin("mine", HEADER)
    (folder / NAME).write_bytes(b"no\njournal\n")
    with pytest.raises(JournalError, match="line 1 is corrupt"):
        choose(out="mine")
    assert choose(out="mine", fresh=True) == (Path("mine-2"), None)


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("finished", [True, False])
def test_another_scenarios_folder_is_refused(fresh, finished):
    begin("mine", HEADER, *([FINISHED] if finished else []), scenario=OTHER)
    with pytest.raises(JournalError, match="mine holds another scenario's run") as caught:
        choose(out="mine", fresh=fresh)
    assert "nothing was overwritten" in caught.value.hint


def test_a_page_of_another_scenario_is_refused_before_it_has_a_journal():
    begin_folder(Path("mine"), OTHER)
    with pytest.raises(JournalError, match="another scenario's run"):
        choose(out="mine")


def test_a_folder_with_its_own_page_and_nothing_else_is_begun_in():
    begin_folder(Path("mine"), SCENARIO_OF_RUN)
    Path("mine/worker.log").touch()
    assert choose(out="mine") == (Path("mine"), None)


def test_an_empty_folder_is_begun_in():
    Path("mine").mkdir()
    assert choose(out="mine") == (Path("mine"), None)


@pytest.mark.parametrize("fresh", [True, False])
def test_a_folder_that_holds_something_else_is_refused(fresh):
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("x", encoding="utf-8")
    with pytest.raises(JournalError, match="mine holds something that is no run"):
        choose(out="mine", fresh=fresh)


def test_a_file_is_refused():
    Path("mine").write_text("x", encoding="utf-8")
    with pytest.raises(JournalError, match="mine is a file"):
        choose(out="mine")


def test_a_finished_run_in_the_present_folder_has_its_successor_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(begin("mine", FINISHED))
    assert choose(out=".") == (tmp_path / "mine-2", None)


def test_choosing_changes_nothing():
    folder = begin("mine", HEADER, VISIT)
    before = contents(".")
    choose(out="mine")
    choose(out="mine", fresh=True)
    with pytest.raises(JournalError):
        choose(OTHER, out="mine")
    assert contents(".") == before
    assert folder.exists()


def test_beginning_again_overwrites_nothing():
    folder = begin("mine", HEADER)
    before = contents(folder)
    begin_folder(folder, make_scenario(budget="1h"))
    assert contents(folder) == before


def test_a_kill_while_the_page_is_written_leaves_a_folder_that_can_be_begun_in(monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            begin_folder(Path("mine"), SCENARIO_OF_RUN)
    assert not Path("mine", SCENARIO).exists()
    assert choose(out="mine") == (Path("mine"), None)
    assert load_run(begin("mine", VISIT)).scenario == SCENARIO_OF_RUN


def test_a_folder_that_cannot_be_made_is_one_sentence():
    Path("file").touch()
    with pytest.raises(JournalError, match="cannot write file/mine: Not a directory"):
        begin_folder(Path("file/mine"), SCENARIO_OF_RUN)


def test_a_copied_run_is_the_same_run():
    folder = begin("mine", HEADER, VISIT, FINISHED)
    shutil.copytree(folder, "copy")
    assert load_run("copy").records == load_run(folder).records
