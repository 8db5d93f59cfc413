from __future__ import annotations

import re
import subprocess
import sys

import pytest
from commands import run

import hyenaprof
from hyenaprof.records.scenario import Scenario


def test_the_version_is_the_packages(capsys):
    ended = run(capsys, "--version")
    assert (ended.status, ended.out) == (0, f"hyenaprof {hyenaprof.__version__}\n")


def test_it_runs_as_a_module_too():
    ended = subprocess.run([sys.executable, "-m", "hyenaprof", "--version"], capture_output=True, text=True, check=True)
    assert ended.stdout == f"hyenaprof {hyenaprof.__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_names_every_command_and_where_to_begin(capsys, flag):
    ended = run(capsys, flag)
    assert ended.status == 0
    for word in (
        "sweep",
        "crossover",
        "gate",
        "baseline",
        "claims",
        "report",
        "list",
        "verify",
        "Begin with: hyenaprof sweep --ops hyena,flash",
    ):
        assert word in ended.out


def test_without_a_command_the_help_is_shown_and_nothing_done(capsys):
    ended = run(capsys)
    assert ended.status == 2
    assert "Commands:" in ended.out + ended.err


@pytest.mark.parametrize("command", ["sweep", "crossover", "gate", "claims", "report", "list", "verify"])
def test_every_command_says_what_it_does(capsys, command):
    ended = run(capsys, command, "--help")
    assert ended.status == 0
    assert f"hyenaprof {command} [OPTIONS]" in ended.out.splitlines()[0]
    assert len(ended.out.splitlines()) > 5


def test_the_help_of_sweep_teaches_by_example_and_names_every_exit_status(capsys):
    text = run(capsys, "sweep", "--help").out
    assert text.count("hyenaprof sweep ") >= 4  # usage and three examples
    status = text.partition("Exit status:")[2].partition("What is measured")[0]
    for number in ("0 ", "1 ", "2 ", "3 ", "130 "):
        assert number in status


@pytest.mark.parametrize(
    ("command", "numbers"),
    [
        ("crossover", ("0 ", "2 ", "3 ")),
        ("claims", ("0 ", "1 ", "2 ", "3 ", "130 ")),
        ("verify", ("0 ", "1 ", "2 ", "3 ", "130 ")),
    ],
)
def test_the_help_of_what_analyses_shows_examples_and_names_its_exit_statuses(capsys, command, numbers):
    text = run(capsys, command, "--help").out
    assert text.count(f"hyenaprof {command} ") == 4  # usage and three examples
    status = text.partition("Exit status:")[2].partition("Arguments")[0]
    assert all(number in status for number in numbers)


def test_the_help_of_gate_shows_examples_and_names_its_exit_statuses(capsys):
    text = " ".join(run(capsys, "gate", "--help").out.split())
    assert text.count("hyenaprof gate ") == 6  # usage and five examples
    status = text.partition("Exit status:")[2].partition("Arguments")[0]
    assert all(number in status for number in ("0 ", "1 ", "2 ", "3 ", "4 ", "130 "))


@pytest.mark.parametrize("command", ["new", "add", "show", "prune"])
def test_every_command_of_a_baseline_says_what_it_does(capsys, command):
    ended = run(capsys, "baseline", command, "--help")
    assert ended.status == 0
    assert "Exit status: 0" in ended.out


def test_every_flag_of_claims_and_crossover_means_what_it_means_in_sweep(capsys):
    def flags(command):
        return set(re.findall(r"^  +(--[a-z-]+)", run(capsys, command, "--help").out, re.MULTILINE))

    assert flags("claims") - flags("sweep") == {"--run", "--json"}
    assert flags("crossover") - flags("sweep") == {"--json"}


def test_every_example_of_sweep_is_a_request_that_is_understood(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = run(capsys, "sweep", "--help").out
    examples = [line.split()[1:] for line in text.partition("Examples:")[2].splitlines() if "hyenaprof sweep" in line]
    assert len(examples) == 3
    for arguments in examples:
        # A file stands where the run would go: the request is read and understood, and goes no further.
        ended = run(capsys, *arguments, "--out", __file__)
        assert ended.said()[0] == "test_help.py is a file"


def test_sweep_has_a_flag_for_everything_in_a_scenario(capsys):
    text = run(capsys, "sweep", "--help").out
    flags = {"operators": "--ops", "lengths": "--lengths", "protocol": "--cache"}
    left_to_yaml = {"name", "purpose", "extend_below"}
    for key in set(Scenario.model_fields) - left_to_yaml:
        assert flags.get(key, f"--{key}") in text
