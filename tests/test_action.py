"""action.yml: its steps run as GitHub's runner would run them, in bash with -e and pipefail, one after the other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_repository import COPY_BUILD, OPERATOR, make_repository

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}


def filled(text, inputs):
    """A step's value with its expressions evaluated."""

    def value(match):
        name = match[1].strip()
        return str(ROOT) if name == "github.action_path" else inputs[name.removeprefix("inputs.")]

    return re.sub(r"\$\{\{(.*?)\}\}", value, text)


def run_step(name, folder, inputs, **environment):
    """Runs one step in a folder."""
    step = STEPS[name]
    variables = {key: filled(str(value), inputs) for key, value in step.get("env", {}).items()}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", filled(step["run"], inputs)],
        cwd=folder,
        env={**os.environ, **variables, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def given(**inputs):
    """The action's inputs, defaults where nothing is given."""
    return {name: str(told["default"]) for name, told in ACTION["inputs"].items()} | inputs


@pytest.fixture
def tools(tmp_path):
    """A folder of commands for the steps' PATH: `hyenaprof` is this one, `python` only says what it was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    commands = {"hyenaprof": f'exec {sys.executable} -m hyenaprof "$@"', "python": 'printf "%s\\n" "$@"'}
    for name, line in commands.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return {"PATH": os.pathsep.join((str(folder), os.environ["PATH"])), "PYTHONPATH": str(ROOT)}


def test_every_step_says_its_shell_and_takes_its_inputs_by_the_environment():
    for step in STEPS.values():
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "an input in the script's text could be anything"
    used = set(re.findall(r"inputs\.([a-z-]+)", (ROOT / "action.yml").read_text(encoding="utf-8")))
    assert used == set(ACTION["inputs"])


def test_hyenaprof_is_installed_from_the_action_itself(tools, tmp_path):
    ended = run_step("Install hyenaprof", tmp_path, given(), **tools)
    assert ended.returncode == 0
    *_, constraints, source = ended.stdout.splitlines()
    assert (constraints, source) == (str(ROOT / "constraints.txt"), str(ROOT))


def test_a_commit_that_a_shallow_checkout_lacks_is_fetched(tmp_path):
    def git(folder, *arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        return subprocess.run(
            ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()

    origin, here = tmp_path / "origin", tmp_path / "here"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    for number in (1, 2):
        git(origin, "commit", "-q", "--allow-empty", "-m", str(number))
    first = git(origin, "rev-parse", "main~1")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{origin}", str(here))
    assert subprocess.run(["git", "cat-file", "-e", first], cwd=here, check=False, capture_output=True).returncode
    assert run_step("Have the commit to compare with", here, given(against=first)).returncode == 0
    assert git(here, "cat-file", "-t", first) == "commit"


@pytest.fixture
def small(tmp_path):
    """A small repository whose working tree runs out of memory, which its commit does not."""
    made = make_repository(tmp_path)
    made.write(1e-6, breaks=True)
    return made


def test_a_worse_operator_fails_the_step_with_summary_and_annotations(tools, small, tmp_path):
    flags = "--device fake --lengths 256 --phases forward"
    inputs = given(against="HEAD", args=f"--ops {OPERATOR} {flags} --build '{COPY_BUILD}'")
    summary = tmp_path / "summary.md"
    path = os.pathsep.join((small.environment()["PYTHONPATH"], tools["PYTHONPATH"]))
    workflow = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    environment = {**tools, **small.environment(), "PYTHONPATH": path, **workflow}
    ended = run_step("Gate", small.top, inputs, **environment)
    assert (ended.returncode, ended.stderr) == (1, ""), ended.stdout
    (error,) = (line for line in ended.stdout.splitlines() if line.startswith("::error"))
    assert f"{OPERATOR}:plain forward L=256: ran before, now out of memory" in error
    page = summary.read_text(encoding="utf-8")
    assert "The working tree against HEAD (" in page
    assert "| regressed |" in page
    report = small.top / "hyenaprof-gate"
    assert json.loads((report / "gate.json").read_text(encoding="utf-8"))["exit_code"] == 1
    assert 'failures="1"' in (report / "gate.xml").read_text(encoding="utf-8")
    assert {path.name for path in (report / "runs").iterdir()} == {"base", "candidate"}


def workflows():
    return [yaml.safe_load(code) for code in re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)]


def test_the_readmes_workflow_gives_the_action_what_it_takes():
    (workflow,) = (page for page in workflows() if "jobs" in page)
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    (ours,) = (step for step in steps if "hyenaprof" in step.get("uses", ""))
    assert set(ours.get("with", {})) <= set(ACTION["inputs"])
