from __future__ import annotations

import re
from pathlib import Path

import pytest
from builders import STARTED_AT, make_fingerprint, make_point, make_scenario, make_visit
from commands import run

from hyenaprof.model import EndLine, HeaderLine
from hyenaprof.records.journal import NAME, Journal
from hyenaprof.records.store import begin_folder

HERE = make_fingerprint()
ELSEWHERE = HERE.model_copy(update={"machine": {**HERE.machine, "cpu": "Other CPU"}})
LENGTHS = (1024, 2048, 4096, 8192)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(name, operators=("hyena", "flash"), fingerprint=HERE, *, factor=1.0, started_at=STARTED_AT):
    """A run's folder: hyena linear, flash quadratic, equal at 2896."""
    begin_folder(Path(name), make_scenario(operators={operator: {} for operator in operators}))
    with Journal(Path(name) / NAME) as journal:
        journal.append([HeaderLine(hyenaprof="0.1.0", fingerprint=fingerprint, started_at=started_at)])
        journal.append(
            make_visit(
                make_point(operator, length),
                factor * 2e-3 * (length / 2896) ** (1 if operator == "hyena" else 2),
                round=number,
                noise=0.01,
                fingerprint_id=fingerprint.id,
            )
            for operator in operators
            for length in LENGTHS
            for number in range(6)
        )
        journal.append([EndLine(complete=True, reason="done", elapsed_s=1.0)])
    return name


def contents():
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def test_two_sides_merge_into_a_run_that_report_renders_and_says_were_not_paired(capsys):
    make("hyenas", ("hyena",))
    make("flashes", ("flash",), started_at=STARTED_AT + 1000)
    ended = run(capsys, "merge", "hyenas", "flashes", "--out", "both")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == (
        "48 visits from 2 runs; 0 stood in several and count once\nboth\nhyenaprof report both renders it\n"
    )
    assert run(capsys, "report", "both").status == 0
    text = Path("both/report.md").read_text()
    assert re.search(r"overtakes flash between 2048 and 4096, at about .*; not paired at 4 of 4 lengths", text)
    assert "n = 6 rounds, not all paired" in text
    assert "paired rounds" not in text


def test_two_machines_stand_side_by_side_and_are_not_compared(capsys):
    make("here")
    make("there", fingerprint=ELSEWHERE, factor=100.0, started_at=STARTED_AT + 9)
    assert run(capsys, "merge", "here", "there", "--out", "both").status == 0
    ended = run(capsys, "report", "both")
    assert ended.status == 0
    text = Path("both/report.md").read_text()
    answers = [line for line in text.splitlines() if line.startswith("- **forward: hyena overtakes flash between 2048")]
    assert [line.rpartition(", on ")[2] for line in answers] == ["Example CPU)**", "Other CPU)**"]
    assert "Example CPU and Other CPU" not in text
    assert "not paired" not in text
    assert "| layer float32 cpu B=1 D=768 H=12, Other CPU | flash | forward | 1k | ok | 25 ms" in text


def test_one_side_a_machine_is_no_comparison(capsys):
    make("here", ("hyena",))
    make("there", ("flash",), ELSEWHERE)
    assert run(capsys, "merge", "here", "there", "--out", "both").status == 0
    assert run(capsys, "report", "both").status == 0
    assert "overtakes flash" not in Path("both/report.md").read_text()


def test_the_same_run_twice_counts_once(capsys):
    make("here")
    ended = run(capsys, "merge", "here", "here/", "--out", "both")
    assert ended.out.startswith("48 visits from 2 runs; 48 stood in several")


def test_contradictions_are_listed_and_nothing_is_written(capsys):
    make("one")
    make("two", factor=2.0)
    before = contents()
    ended = run(capsys, "merge", "one", "two", "--out", "both")
    assert ended.status == 1
    assert len(ended.out.splitlines()) == 48
    assert re.fullmatch(
        r"hyena:fft forward L=1024, round 1, fingerprint \w{12}: [\d.]+ us in one, [\d.]+ ms in two",
        ended.out.splitlines()[0],
    )
    error, hint = ended.said()
    assert error == "48 visits have the same fingerprint, point and round, and are not the same visit"
    assert "report each for itself" in hint
    assert contents() == before


def test_a_torn_line_is_told(capsys):
    make("one")
    make("two", fingerprint=ELSEWHERE)
    with Path("two", NAME).open("ab") as journal:
        journal.write(b'{"kind":"vis')
    ended = run(capsys, "merge", "one", "two", "--out", "both")
    assert ended.status == 0
    assert ended.err == (f"warning: two: {NAME}: the last line was torn and is dropped; the visit under way was lost\n")


@pytest.mark.parametrize(
    ("arguments", "said", "hinted"),
    [
        (("one",), "one run alone is nothing to merge", "two runs"),
        (("one", "nowhere"), "no run in 'nowhere'", "journal.jsonl"),
        (("one", "other", "--out", "one"), "one holds something already", "--out"),
        (("one", "other", "--out", "notes.txt"), "notes.txt holds something already", "--out"),
        (("one", "other", "--out", "notes.txt/x"), "cannot write notes.txt/x: Not a directory", "--out"),
        (("one", "empty"), "empty: the journal is empty", "hold measurements"),
        (("one", "corrupt"), "journal.jsonl line 1 is corrupt", "restore"),
    ],
)
def test_a_bad_request_is_one_sentence_a_hint_and_status_2(capsys, arguments, said, hinted):
    make("one")
    make("other", fingerprint=ELSEWHERE)
    for name, text in (("empty", ""), ("corrupt", "{}\n{}\n")):
        begin_folder(Path(name), make_scenario())
        Path(name, NAME).write_text(text)
    Path("notes.txt").write_text("mine")
    before = contents()
    ended = run(capsys, "merge", *arguments)
    error, hint = ended.said()
    assert said in error
    assert hinted in hint
    assert (ended.status, ended.out) == (2, "")
    assert contents() == before


@pytest.mark.parametrize("command", ["crossover", "claims"])
def test_what_was_merged_from_two_machines_is_analysed_one_by_one(capsys, command):
    make("here")
    make("there", fingerprint=ELSEWHERE, factor=100.0, started_at=STARTED_AT + 9)
    run(capsys, "merge", "here", "there", "--out", "both")
    ended = run(capsys, command, "both")
    assert ended.said()[0] == "both was merged from 2 machines or protocols"
    assert ended.status == 2


def test_growth_and_sensitivity_keep_machines_apart(capsys):
    make("here")
    make("there", fingerprint=ELSEWHERE, factor=100.0, started_at=STARTED_AT + 9)
    run(capsys, "merge", "here", "there", "--out", "both")
    run(capsys, "report", "both")
    text = Path("both/report.md").read_text()
    growth = text.partition("## Growth with length")[2].partition("\n## ")[0]
    assert growth.count("| hyena | forward | L^1.") + growth.count("| hyena | forward | L^0.9") == 2
    assert "| Phase | Pair | Example CPU | Other CPU |" in text
    assert "Merged from several runs of hyenaprof" in text
