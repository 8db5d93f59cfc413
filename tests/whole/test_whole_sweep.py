from __future__ import annotations

import pytest
from whole_program import Program, grid, lines_of, visits_of

import hyenaprof
from hyenaprof.model import CeilingsLine, CheckLine, EndLine, HeaderLine, MemoryLine, Outcome

PHASES = ("forward", "backward", "training")
LENGTHS = (1024, 2048, 4096, 8192)
COMMAND = (
    "sweep",
    "--ops",
    "hyena:fft,flash:sdpa",
    "--device",
    "fake",
    "--max-len",
    "8192",
    "--rounds",
    "3",
    "--out",
    "mine",
)
SLOW_FLASH = {"flash": {"flops_per_s": 1e8}, "hyena": {"flops_per_s": 1e12}}


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A program that has run a whole sweep, and how it ended."""
    program = Program(tmp_path_factory.mktemp("whole"))
    return program, program.run(*COMMAND)


def test_a_whole_sweep_ends_well_and_measures_everything_exactly_once(finished):
    program, ended = finished
    assert (ended.returncode, ended.stderr) == (0, "")
    assert visits_of(program.folder / "mine") == grid(("hyena:fft", "flash:sdpa"), PHASES, LENGTHS, 3)
    assert program.left_behind() == []


def test_a_whole_sweep_says_where_the_lead_changes_and_where_the_report_lies(finished):
    program, ended = finished
    for phase in PHASES:
        assert f"{phase}: hyena overtakes flash between " in ended.stdout
    for name in ("report.md", "report.html"):
        assert f"mine/{name}" in ended.stdout.splitlines()
        assert "hyena" in (program.folder / "mine" / name).read_text(encoding="utf-8")


def test_the_journal_tells_everything_a_report_needs(finished):
    lines = lines_of(finished[0].folder / "mine")
    assert isinstance(lines[0], HeaderLine)
    assert isinstance(lines[-1], EndLine)
    assert lines[-1].complete
    checks = [line for line in lines if isinstance(line, CheckLine)]
    assert {check.point.operator for check in checks if check.point.shape.length == 127} == {"hyena", "flash"}
    assert all(check.passed for check in checks)
    assert len([line for line in lines if isinstance(line, CeilingsLine)]) == 1
    assert {(m.point.label, m.point.phase, m.point.shape.length) for m in lines if isinstance(m, MemoryLine)} == {
        (operator, phase, length)
        for operator, phase, length, _ in grid(("hyena:fft", "flash:sdpa"), PHASES, LENGTHS, 1)
    }


def test_a_report_is_the_same_rendered_again_from_the_journal_alone(finished):
    program, _ = finished
    page = program.folder / "mine" / "report.md"
    before = page.read_text(encoding="utf-8")
    page.unlink()
    ended = program.run("report", "mine")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert page.read_text(encoding="utf-8") == before
    assert "training: hyena overtakes flash between " in ended.stdout


def test_a_run_is_read_by_the_library(finished):
    program, ended = finished
    run = hyenaprof.load(program.folder / "mine")
    assert [str(found.state) for found in run.crossovers()] == ["resolved"] * 3
    frame = run.to_pandas()
    assert len(frame) == 2 * 3 * 4
    assert set(frame["outcome"]) == {"ok"}
    medians = {record.point: min(visit.clean_s) for record in run.records for visit in record.visits}
    assert len(medians) == 24
    assert str(program.folder) not in ended.stdout


def test_a_plan_of_a_standing_run_changes_nothing_in_it(finished):
    program, _ = finished
    before = contents(program.folder / "mine")
    ended = program.run(*COMMAND, "--dry-run")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("hyena:fft") == ended.stdout.count("flash:sdpa") == 2 * len(LENGTHS)
    assert contents(program.folder / "mine") == before
    assert sorted(path.name for path in program.folder.iterdir()) == ["mine"]


def test_a_plan_leaves_out_what_cannot_be_had_here_and_says_why(tmp_path):
    ended = Program(tmp_path).run(
        *("sweep", "--ops", "hyena:fft,hyena:subq,attention", "--device", "fake", "--lengths", "64"),
        *("--phases", "forward", "--dry-run"),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    plan, _, why = ended.stdout.partition("why not")
    assert {line.split()[0] for line in plan.splitlines() if ":" in line.split()[0]} == {"hyena:fft", "attention:math"}
    assert "hyena:subq: subq has kernels for CUDA alone" in why
    assert list(tmp_path.iterdir()) == []


def test_what_a_budget_cannot_hold_is_left_out_with_its_prediction(tmp_path):
    program = Program(tmp_path, knobs={"rates": SLOW_FLASH})
    ended = program.run(
        *("sweep", "--ops", "hyena:fft,flash:sdpa", "--device", "fake", "--lengths", "64,8192", "--phases", "forward"),
        *("--rounds", "1", "--budget", "5m", "--out", "mine"),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    records = {(r.point.operator, r.point.shape.length): r for r in hyenaprof.load(tmp_path / "mine").records}
    assert {at for at, record in records.items() if record.outcome is Outcome.OK} == {
        ("hyena", 64),
        ("hyena", 8192),
        ("flash", 64),
    }
    left_out = records["flash", 8192]
    short_s = min(records["flash", 64].visits[0].clean_s)
    assert left_out.outcome is Outcome.OVER_BUDGET
    assert left_out.predicted_s > 128 * short_s
    assert "is predicted to take" in left_out.reason
    assert "over budget" in (tmp_path / "mine" / "report.md").read_text(encoding="utf-8").lower()
    assert not hyenaprof.load(tmp_path / "mine").run.finished


def test_what_dies_is_a_row_with_its_reason_and_nothing_of_this_machine_is_written(tmp_path):
    faults = {"flash": {"kind": "abort", "from_length": 128}, "hyena": {"kind": "crash", "from_length": 128}}
    program = Program(tmp_path, knobs={"faults": faults})
    ended = program.run(
        *("sweep", "--ops", "hyena:fft,flash:sdpa", "--device", "fake", "--lengths", "64,128"),
        *("--phases", "forward", "--rounds", "1", "--out", "mine"),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    records = {(r.point.operator, r.point.shape.length): r for r in hyenaprof.load(tmp_path / "mine").records}
    outcomes = {at: record.outcome for at, record in records.items()}
    assert outcomes == {
        ("hyena", 64): Outcome.OK,
        ("flash", 64): Outcome.OK,
        ("hyena", 128): Outcome.CRASHED,
        ("flash", 128): Outcome.CRASHED,
    }
    assert "SIGABRT" in records["flash", 128].reason
    assert "fault ordered of the fake device" in records["hyena", 128].reason
    for path, written in contents(tmp_path / "mine").items():
        assert hyenaprof.__path__[0].encode() not in written, path
        assert str(tmp_path).encode() not in written, path
    log = (tmp_path / "mine" / "worker.log").read_text(encoding="utf-8")
    assert "fault ordered of the fake device" in log
    assert program.left_behind() == []


def test_a_sweep_that_measures_nothing_says_why_and_is_status_3(tmp_path):
    program = Program(tmp_path, knobs={"memory_bytes": 1})
    ended = program.run(
        *("sweep", "--ops", "hyena:fft", "--device", "fake", "--lengths", "64", "--phases", "forward"),
        *("--rounds", "1", "--out", "mine"),
    )
    assert ended.returncode == 3
    assert ended.stderr.splitlines()[0] == "error: nothing could be measured"
    assert "oom" in ended.stderr.splitlines()[1]
    assert {record.outcome for record in hyenaprof.load(tmp_path / "mine").records} == {Outcome.OOM}
