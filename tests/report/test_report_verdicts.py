"""A gate's verdicts in words, as Markdown and for other programs."""

import json
import runpy
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from builders import STARTED_AT, make_point, make_record, make_run

from hyenaprof.analysis.gate import Gate, Verdict
from hyenaprof.analysis.looks import Ruling
from hyenaprof.analysis.shifts import Shift
from hyenaprof.records.baseline import add_session, new_baseline
from hyenaprof.records.sessions import points_of, session_of
from hyenaprof.report import verdict_files, verdicts
from hyenaprof.report.verdict_files import GateDocument

ROOT = Path(__file__).resolve().parents[2]
SLOW = Verdict(
    make_point("hyena", 8192),
    "latency",
    Ruling.REGRESSED,
    ratio=1.1184,
    low=1.0712,
    high=1.1661,
    rounds=10,
    detectable=0.043,
    tolerance=0.05,
    base=3e-3,
    candidate=3.3552e-3,
)
FINE = replace(SLOW, point=make_point("flash", 8192), ruling=Ruling.OK, ratio=1.0, low=0.98, high=1.02, candidate=3e-3)
OPEN = replace(FINE, point=make_point("flash", 4096), ruling=Ruling.INCONCLUSIVE, ratio=1.04)
GONE = Verdict(make_point("flash", 2048), "outcome", Ruling.MISSING, reason="in the base, and not in the candidate")
LARGE = Verdict(
    SLOW.point,
    "peak_memory",
    Ruling.REGRESSED,
    ratio=1.5,
    base=2**20,
    candidate=1.5 * 2**20,
    expected="kept taps (until 2030-01-01)",
)
LATER = Shift(
    SLOW.point.curve,
    FINE.point.curve,
    "latency",
    Ruling.REGRESSED,
    1490,
    2210,
    "forward: hyena over flash: the crossover moved from 1490 to 2210",
)
GATE = Gate((GONE, SLOW, OPEN, FINE, LARGE), shifts=(LATER,), warnings=("one | stored <session>",))
HOSTILE = "a|b <script>&\"'\n::error::x %0A \x00\x1b[31m ]]> `$HOME`"


def test_the_headline_counts_every_ruling_and_says_red():
    assert verdicts.headline(GATE) == "red: 1 missing, 1 regressed, 1 inconclusive, 1 ok, 1 expected, 1 crossover later"
    assert verdicts.headline(Gate((FINE,))) == "not red: 1 ok"
    assert verdicts.headline(Gate(())) == "nothing was judged"


def test_a_verdict_in_a_line_says_how_much_how_sure_and_from_what_to_what():
    assert verdicts.verdict_line(SLOW) == (
        "hyena:fft forward L=8192 time: 1.118x slower (bounds 1.071x to 1.166x, 10 rounds), 3 ms before, 3.36 ms now"
    )
    assert verdicts.verdict_line(LARGE) == (
        "hyena:fft forward L=8192 peak memory: 1.500x the memory, 1 MiB before, 1.5 MiB now; "
        "expected: kept taps (until 2030-01-01)"
    )
    assert verdicts.verdict_line(GONE) == "flash:sdpa forward L=2048: in the base, and not in the candidate"


def test_the_table_has_a_row_a_verdict_in_their_order_with_what_was_detectable():
    rows = verdicts.table(GATE).rows
    assert [row[0] for row in rows] == [str(verdict.point) for verdict in GATE.verdicts]
    texts = [cell if isinstance(cell, str) else cell.text for cell in rows[1]]
    assert texts[1:] == ["time", "3 ms", "3.36 ms", "1.118x", "1.071x .. 1.166x", "regressed", "10", "4.3 %", "5 %"]
    assert [row[6].text for row in rows] == ["missing", "regressed", "inconclusive", "ok", "expected"]


def test_a_long_table_is_cut_and_says_so():
    table = verdicts.table(Gate((SLOW,) * 3), most=2)
    assert len(table.rows) == 2
    assert "1 more rows" in table.caption


def test_the_summary_takes_names_literally():
    gate = replace(GATE, verdicts=(replace(GONE, reason=HOSTILE), SLOW))
    text = verdicts.summary_markdown(gate, lead="main against <b>branch</b>")
    assert text.startswith("# hyenaprof gate\n\nmain against &lt;b&gt;branch&lt;/b&gt;\n\n## red: ")
    assert "<script>" not in text
    assert "one \\| stored &lt;session&gt;" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {len(verdicts.HEADER) + 1}


def test_annotations_are_one_line_each_and_nothing_in_them_starts_another():
    lines = verdict_files.workflow_commands(replace(GATE, verdicts=(replace(GONE, reason=HOSTILE), SLOW, OPEN)))
    assert [line.split(" ", 1)[0] for line in lines] == ["::error"] * 3 + ["::warning"] * 2
    assert all("\n" not in line and "\r" not in line for line in lines)
    assert "%0A::error::x %250A" in lines[0]
    assert lines[2] == "::error title=crossover::forward: hyena over flash: the crossover moved from 1490 to 2210"
    assert lines[3].startswith("::warning title=inconclusive::1 inconclusive, first: flash:sdpa forward L=4096")


def test_of_many_errors_ten_are_shown_the_tenth_counting_the_rest():
    lines = verdict_files.workflow_commands(Gate((SLOW,) * 14))
    assert len(lines) == 10
    assert lines[-1] == "::error title=more::5 more"
    assert len(verdict_files.workflow_commands(Gate((SLOW,) * 10))) == 10


def test_nothing_is_annotated_where_all_is_well():
    assert verdict_files.workflow_commands(Gate((FINE,))) == ()


def test_junit_counts_failures_errors_and_skips_and_can_be_parsed_whatever_names_hold():
    gate = replace(GATE, verdicts=(replace(GONE, reason=HOSTILE), *GATE.verdicts[1:]))
    suite = ET.fromstring(verdict_files.junit_xml(gate).encode())[0]  # noqa: S314 -- what we just wrote
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "2", "errors": "1", "skipped": "1"}
    assert [child.tag for case in suite for child in case if child.tag != "system-out"] == [
        "error",
        "failure",
        "skipped",
        "failure",
    ]
    assert HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd").split("\n")[1] in suite[0][0].text


def test_the_json_is_the_gate_and_obeys_its_schema():
    text = verdict_files.gate_json(GATE, exit_code=1)
    document = GateDocument.model_validate_json(text)
    raw = json.loads(text)
    assert (raw["exit_code"], raw["red"], len(raw["verdicts"]), raw["shifts"][0]["candidate"]) == (1, True, 5, 2210)
    assert [entry.verdict for entry in document.verdicts] == [verdict.ruling for verdict in GATE.verdicts]
    assert raw["verdicts"][1]["ratio"] == SLOW.ratio
    assert raw["verdicts"][1]["unit"] == "s"


def test_the_shipped_schema_is_the_one_that_the_json_obeys():
    shipped = (ROOT / "hyenaprof" / "report" / "gate.schema.json").read_text(encoding="utf-8")
    current = runpy.run_path(str(ROOT / "scripts" / "gate_schema.py"))["schema_text"]()
    assert shipped == current, "what --json writes changed: run scripts/gate_schema.py"


def test_github_action_benchmark_gets_the_candidates_numbers_with_their_units():
    entries = json.loads(verdict_files.benchmark_json(GATE))
    assert [(entry["name"], entry["unit"], entry["value"]) for entry in entries] == [
        ("flash:sdpa forward L=4096 time", "s", 3e-3),
        ("flash:sdpa forward L=8192 time", "s", 3e-3),
        ("hyena:fft forward L=8192 time", "s", 3.3552e-3),
        ("hyena:fft forward L=8192 peak memory", "bytes", 1.5 * 2**20),
    ]


def test_a_baselines_history_is_a_row_a_session_and_a_column_a_point():
    first = make_run(
        [make_record(make_point("hyena"), 1e-3), make_record(make_point("flash", options=(("a", "b, c"),)), 2e-3)]
    )
    later = make_run([make_record(make_point("hyena"), 1.5e-3)])
    session = session_of(later).model_copy(update={"started_at": STARTED_AT + 86400})
    held = add_session(new_baseline(session_of(first), points_of(first)), session, points_of(later))
    header, *rows = verdict_files.history_csv(held).splitlines()
    assert [len(line.split(",")) for line in (header, *rows)] == [4, 4, 4]
    assert header.split(",")[3].startswith("hyena:fft/forward/L=1024/")
    times = [row.split(",")[2:] for row in rows]
    assert [[pytest.approx(float(cell)) if cell else "" for cell in row] for row in times] == [
        [2e-3, 1e-3],
        ["", 1.5e-3],
    ]
    assert rows[0].split(",")[0] < rows[1].split(",")[0]
