"""`hyenaprof crossover` as a person runs it: JSON alone on stdout, and a report that says how to do it again."""

from __future__ import annotations

import json
import shlex

import pytest
from whole_program import Program

COMMAND = ("crossover", "--ops", "hyena:fft,flash:sdpa", "--device", "fake", "--phases", "training")
SLOW_FLASH = {"flash": {"flops_per_s": 1e9}, "hyena": {"flops_per_s": 1e11}}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A program that went for a crossover, and how it ended."""
    program = Program(tmp_path_factory.mktemp("crossover"), knobs={"rates": SLOW_FLASH})
    return program, program.run(*COMMAND, "--max-len", "256", "--precision", "10%", "--out", "mine", "--json")


def test_stdout_is_one_json_object_and_progress_goes_elsewhere(searched):
    _, ended = searched
    assert ended.returncode == 0
    held = json.loads(ended.stdout)
    assert [(found["metric"], found["setting"]["phase"]) for found in held["crossovers"]] == [
        ("latency", "training"),
        ("peak_memory", "training"),
    ]
    assert "verifying hyena:fft" in ended.stderr
    assert "mine/report.md" in ended.stderr


def test_the_run_analysed_again_says_the_same(searched):
    program, ended = searched
    again = program.run("crossover", "mine", "--json")
    assert (again.returncode, json.loads(again.stdout)) == (0, json.loads(ended.stdout))


def test_the_report_names_the_command_that_was_used_and_it_is_understood(searched):
    program, _ = searched
    report = (program.folder / "mine" / "report.md").read_text(encoding="utf-8")
    how = report.partition("## How to reproduce")[2]
    (line,) = [line for line in how.splitlines() if line.startswith("hyenaprof crossover")]
    assert line == "hyenaprof crossover scenario.yaml --precision 0.1"
    assert "hyenaprof sweep" not in how
    (program.folder / "scenario.yaml").write_text(
        (program.folder / "mine" / "scenario.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    # the same question: an empty folder of another scenario's run would be refused, this one is gone on with
    ended = program.run(*shlex.split(line)[1:], "--out", "mine", "--json")
    assert ended.returncode == 0, ended.stderr
    assert (program.folder / "mine-2").is_dir() or "going on with mine" in ended.stderr
