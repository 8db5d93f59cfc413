"""What README.md and CONTRIBUTING.md say is true: commands parse, code runs, named files are there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest
from builders import CROSSOVER, make_run
from typer.main import get_command

from hyenaprof.cli.app import app, main
from hyenaprof.records.journal import NAME as JOURNAL
from hyenaprof.records.journal import Journal
from hyenaprof.records.store import begin_folder
from hyenaprof.records.tolerances import load_expected
from hyenaprof.resources import scenario_files

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
OF_A_RUN = {"scenario.yaml", "journal.jsonl", "worker.log", "report.md", "report.html", "figures/"}


def blocks(text: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [code for name, code in fenced if name == language]


def command_lines(text: str) -> list[list[str]]:
    joined = "\n".join(blocks(text, "sh")).replace("\\\n", " ")
    return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


def tool_lines(text: str) -> list[list[str]]:
    """Arguments of each `hyenaprof ...`, on its own or as a container's command."""
    lines = command_lines(text)
    own = [words[1:] for words in lines if words[0] == "hyenaprof"]
    return own + [words[words.index("hyenaprof") + 1 :] for words in lines if words[:2] == ["docker", "run"]]


def test_the_readme_opens_with_the_two_commands():
    opening = README.partition("##")[0]
    assert README.startswith("# hyenaprof\n\n```sh\nmake sweep")
    assert [words[:2] for words in command_lines(opening)] == [["make", "sweep"], ["make", "test"]]


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_every_make_target_exists(text):
    targets = {words[1] for words in command_lines(text) if words[0] == "make"}
    assert targets
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("arguments", tool_lines(README), ids=" ".join)
def test_every_command_is_understood(arguments):
    name, *rest = arguments
    context = get_command(app).commands[name].make_context(name, rest)
    scenario = context.params.get("scenario")
    assert scenario is None or scenario in scenario_files()


SHOWN = re.findall(r"^```sh\n([^\n]+)\n```\n\n```text\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("command", "shown"), SHOWN, ids=["crossover", "claims"])
def test_what_a_command_is_shown_to_say_is_what_it_says(command, shown, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", shlex.split(command, comments=True))
    with pytest.raises(SystemExit):
        main()
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == shown.splitlines()


def test_a_flag_that_does_not_exist_would_be_noticed():
    with pytest.raises(Exception, match="No such option"):
        get_command(app).commands["sweep"].make_context("sweep", ["--no-such-flag"])


def test_the_scenario_shown_is_the_one_shipped():
    (shown,) = (code for code in blocks(README, "yaml") if "operators:" in code)
    assert shown == scenario_files()["hyena-vs-flash"].read_text()


def test_the_expected_change_shown_is_one_that_the_gate_reads(tmp_path):
    (shown,) = (code for code in blocks(README, "yaml") if "expires:" in code)
    (tmp_path / "expected.yaml").write_text(shown, encoding="utf-8")
    (entry,) = load_expected(tmp_path / "expected.yaml", today=date(2026, 1, 1))
    assert (entry.points, entry.up_to) == ("hyena:fft/*", pytest.approx(0.1))


def test_every_shipped_scenario_is_in_the_readme():
    table = README.partition("| shipped scenario |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)) == set(scenario_files())


def test_the_extras_that_the_readme_installs_are_those_declared():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {extra for words in command_lines(README) for word in words for extra in re.findall(r"^\.\[(.+)\]$", word)}
    assert named == set(extras) - {"dev"}


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_every_file_that_is_named_exists(text):
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    quoted = re.findall(r"`([\w./-]+(?:\.(?:py|md|txt|toml|yaml|json)|/))`", prose)
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", prose)
    named = {name for name in (*quoted, *linked) if name not in OF_A_RUN}
    assert named
    assert {name for name in named if not any((base / name).exists() for base in (ROOT, ROOT / "hyenaprof"))} == set()


def test_the_layout_in_contributing_is_the_layout_there_is():
    layout = next(block for block in blocks(CONTRIBUTING, "") if block.startswith("hyenaprof/"))
    indented = "\n".join(line for line in layout.splitlines() if line.startswith("  "))
    named = set(re.findall(r"(?<![\w/])(\w+)(?:\.py|/)", indented))
    there = {path.stem for path in (ROOT / "hyenaprof").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - {"__main__", "__pycache__", "_data"} <= named
    inside = {path.stem for path in (ROOT / "hyenaprof").glob("*/*.py")}
    assert named <= there | inside


def run_code(code: str, folder: Path) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_measuring_a_callable_works_as_shown(tmp_path):
    measuring, _ = blocks(README, "python")
    printed = run_code(measuring, tmp_path)
    assert re.fullmatch(r"[\d.]+ (s|ms|us|ns) \[.+\], \d+ samples\n", printed)


def test_reading_a_run_works_as_shown(tmp_path):
    _, reading = blocks(README, "python")
    run = make_run()
    folder = tmp_path / "runs" / "quick-0123abcd"
    begin_folder(folder, run.scenario)
    with Journal(folder / JOURNAL) as journal:
        journal.append(run.headers)
        journal.append(line for record in run.records for line in (record.memory, *record.visits) if line)
    printed = run_code(reading, tmp_path)
    assert re.search(r"hyena +8192 ", printed)
    (latency,) = [line for line in printed.splitlines() if line.startswith("training latency")]
    assert float(re.search(r"\[([\d.]+)", latency)[1]) == pytest.approx(CROSSOVER, rel=0.05)
