"""`hyenaprof claims`: verdicts as text and for machines, and how it ends."""

from __future__ import annotations

import io
import json

import builders
import pytest
from commands import run
from rich.console import Console

from hyenaprof.analysis.claims import load_claims
from hyenaprof.cli.tables import claims_table
from hyenaprof.model import Phase
from hyenaprof.records.journal import NAME, Journal
from hyenaprof.records.store import begin_folder, load_run
from hyenaprof.resources import claims_files

FIGURE = "hyena-fig4.3.csv"
MINE = """
name: mine
source: Somebody 2024
claims:
  - id: twice
    statement: Twice as fast at 8192.
    where: abstract
    conditions: {phase: training}
    check: {kind: ratio, challenger: hyena, incumbent: flash, length: 8192, value: 2}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mine(folder):
    """A run of three phases in which hyena overtakes flash at about 2900, and a file of claims beside it."""
    (folder / "mine.yaml").write_text(MINE, encoding="utf-8")
    made = builders.make_run()
    begin_folder(folder / "mine", made.scenario)
    with Journal(folder / "mine" / NAME) as journal:
        journal.append(made.headers)
        journal.append(line for record in made.records for line in (record.memory, *record.visits) if line)
    return "mine"


def verdicts(ended):
    return {(claim["source"], claim["id"]): claim for claim in json.loads(ended.out)["claims"]}


def test_the_papers_own_data_deny_its_headlines_and_bear_out_its_crossovers(capsys):
    ended = run(capsys, "claims", FIGURE, "hyena-paper", "--json")
    assert (ended.status, ended.err) == (1, "")
    held = {key[1]: claim for key, claim in verdicts(ended).items()}
    assert {name: (claim["verdict"], claim["measured"]) for name, claim in held.items()} == {
        "2x-at-8k": ("not reproduced", "1.4x"),
        "100x-at-64k": ("not reproduced", "11.4x"),
        "crossover-flash": ("reproduced", "6727"),
        "crossover-attention": ("reproduced", "1932"),
        "20-percent-fewer-flops": ("not comparable", None),
        "sublinear-parameters": ("not comparable", None),
    }
    assert held["crossover-attention"]["reason"] == "within 1843 to 2253"  # 2048, ten per cent either way


def test_the_figures_own_source_is_reproduced_by_its_data(capsys):
    ended = run(capsys, "claims", FIGURE, "hyena-fig4.3")
    assert ended.status == 0
    assert ended.out.splitlines()[-1] == "5 reproduced, 0 not reproduced, 0 not comparable"


def test_every_shipped_source_is_held_where_none_is_named(capsys):
    ended = run(capsys, "claims", FIGURE, "--json")
    assert {source for source, _ in verdicts(ended)} == set(claims_files())


def test_text_says_statement_place_published_measured_reason_and_setting(capsys, mine):
    ended = run(capsys, "claims", mine, "mine.yaml")
    assert ended.status == 0
    lines = ended.out.splitlines()
    assert lines[0] == "Measured: layer, training, batch 1, width 768, heads 12, float32, cpu"
    assert lines[2:5] == ["mine: Somebody 2024", "  twice (abstract)", "    Twice as fast at 8192."]
    assert lines[5].startswith("    reproduced: published 2x at 8192, measured 2.8")
    assert lines[-1] == "1 reproduced, 0 not reproduced, 0 not comparable"


def test_settings_are_told_apart_where_a_claim_leaves_them_open(capsys, mine, folder):
    (folder / "mine.yaml").write_text(MINE.replace("    conditions: {phase: training}\n", ""), encoding="utf-8")
    lines = run(capsys, "claims", mine, "mine.yaml").out.splitlines()
    assert lines[0] == "Measured: layer, batch 1, width 768, heads 12, float32, cpu"
    assert [line.split(":")[0].strip() for line in lines[5:8]] == [
        f"reproduced in {phase}" for phase in builders.PHASES
    ]


def test_the_form_for_machines_has_the_keys_that_scripts_rely_on(capsys, mine):
    held = json.loads(run(capsys, "claims", mine, "mine.yaml", "--json").out)
    assert list(held) == ["version", "source", "claims", "warnings"]
    (claim,) = held["claims"]
    assert claim["setting"]["phase"] == "training"
    assert list(claim) == [
        *("source", "citation", "id", "statement", "where", "verdict", "published", "measured", "reason", "setting"),
        "unchecked",
    ]


def test_nothing_comparable_is_status_3_and_says_why(capsys, mine):
    ended = run(capsys, "claims", mine, "nvsubquadratic")
    assert ended.status == 3
    assert ended.out.count("stated device cuda, measured with cpu") == 2
    assert ended.out.splitlines()[-1] == "0 reproduced, 0 not reproduced, 2 not comparable"


def test_a_device_that_the_source_names_must_be_the_one_measured_on(capsys, mine, folder):
    for name, status in (("Example", 0), ("RTX PRO 6000", 3)):
        (folder / "mine.yaml").write_text(MINE.replace("{phase", f"{{device_name: {name}, phase"), encoding="utf-8")
        ended = run(capsys, "claims", mine, "mine.yaml")
        assert ended.status == status
    assert "stated on RTX PRO 6000, measured on Example CPU" in ended.out


@pytest.mark.parametrize(
    ("arguments", "said", "hinted"),
    [
        ((), "nothing to hold claims against", "--run SOURCE"),
        ((FIGURE, "hyena-papr"), "no claims 'hyena-papr'", "did you mean 'hyena-paper'?"),
        (("--run", "hyena-papr"), "no claims 'hyena-papr'", "did you mean 'hyena-paper'?"),
        ((FIGURE, "--run", "hyena-paper"), f"--run and '{FIGURE}' are both given", "one of them"),
        (("--run", "mine.yaml"), "mine names no scenario to measure", "scenario:"),
        ((FIGURE, "--budget", "1h"), f"--budget says how to measure, but {FIGURE} is only analysed", "leave the flag"),
        (("hyena-paper",), "hyena-paper is a source of claims and holds no measurements", "--run hyena-paper"),
        (("--budget", "1h"), "--budget says how to measure, but a run is only analysed", "give --run SOURCE"),
        (("nowhere",), "no run in 'nowhere'", "journal.jsonl"),
        (("nowhere.csv",), "no table nowhere.csv", ".csv or .json"),
        ((FIGURE, "missing.yaml"), "no file missing.yaml", "hyena-paper"),
        ((FIGURE, "there/missing"), "no file there/missing", "hyena-paper"),
        (("times.txt",), "times.txt is not named as a table", ".csv (commas) or .json"),
        (("--run", "hyena-paper", "--device", "fake:9"), "no device fake:9", "--device"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence(capsys, folder, arguments, said, hinted):
    (folder / "mine.yaml").write_text(MINE, encoding="utf-8")
    (folder / "times.txt").write_text("operator,length,latency_ms\nhyena,1,1\n", encoding="utf-8")
    ended = run(capsys, "claims", *arguments)
    error, hint = ended.said()
    assert said in error
    assert hinted in hint
    assert (ended.status, ended.out) == (3 if "fake:9" in arguments else 2, "")


def test_a_source_is_measured_by_its_own_scenario_and_then_judged(capsys, folder, monkeypatch):
    monkeypatch.setenv("HYENAPROF_FAKE", "{}")
    page = "operators: {hyena: {implementations: [fft]}, flash: {implementations: [sdpa]}}\nlengths: [256, 8192]\n"
    (folder / "small.yaml").write_text(page + "phases: [training]\n", encoding="utf-8")
    (folder / "mine.yaml").write_text(MINE.replace("claims:", "scenario: small.yaml\nclaims:"), encoding="utf-8")
    flags = ("--device", "fake", "--rounds", "2", "--budget", "2m", "--out", "made", "--json")
    ended = run(capsys, "claims", "--run", "mine.yaml", *flags)
    (claim,) = json.loads(ended.out)["claims"]
    assert ended.status == {"reproduced": 0, "not reproduced": 1}[claim["verdict"]]
    assert "round 2" in ended.err  # progress, out of the way of the JSON
    assert {record.point.phase for record in load_run(folder / "made").records} == {Phase.TRAINING}
    assert run(capsys, "claims", "made", "mine.yaml").status == ended.status


def test_what_was_measured_until_it_was_interrupted_is_judged_and_the_status_says_so(capsys, mine, folder, monkeypatch):
    monkeypatch.setattr("hyenaprof.cli.measure.measured", lambda *_, **__: (load_run(folder / mine), True))
    page = "operators: {hyena: {implementations: [fft]}, flash: {implementations: [sdpa]}}\n"
    (folder / "small.yaml").write_text(page, encoding="utf-8")
    (folder / "mine.yaml").write_text(MINE.replace("claims:", "scenario: small.yaml\nclaims:"), encoding="utf-8")
    ended = run(capsys, "claims", "--run", "mine.yaml")
    assert ended.status == 130
    assert ended.out.splitlines()[-1] == "1 reproduced, 0 not reproduced, 0 not comparable"


def test_a_warning_of_the_table_travels_with_the_verdicts(capsys, folder):
    (folder / "t.csv").write_text("L,hyena,flash\n4096,1,2\n16384,1,9\n", encoding="utf-8")
    ended = run(capsys, "claims", "t.csv", "hyena-paper")
    assert "warning: t.csv names no unit: its times were taken for milliseconds" in ended.out


def test_a_source_that_is_named_twice_counts_once(capsys, mine):
    ended = run(capsys, "claims", mine, "mine.yaml", "./mine.yaml")
    assert ended.out.splitlines()[-1] == "1 reproduced, 0 not reproduced, 0 not comparable"


def test_what_a_table_does_not_state_is_named_with_the_verdicts(capsys, folder):
    (folder / "mine.yaml").write_text(MINE, encoding="utf-8")
    rows = "".join(f"{name},8192,{time},1,8\n" for name, time in (("hyena", 1), ("flash", 3)))
    (folder / "t.csv").write_text("operator,length,latency_ms,batch,width\n" + rows, encoding="utf-8")
    lines = run(capsys, "claims", "t.csv", "mine.yaml").out.splitlines()
    assert lines[0] == "Measured: batch 1, width 8; phase, scope, heads, dtype, device: not stated by the table"
    assert lines[5].endswith("; the source's phase training could not be checked")


def test_the_list_names_every_shipped_source_with_what_it_is():
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(claims_table(claims_files()))
    text = console.export_text()
    for name, path in claims_files().items():
        file = load_claims(path)
        (line,) = [line for line in text.splitlines() if line.split()[:1] == [name]]
        assert line.split()[1] == str(len(file.claims))
        assert file.source in line
