"""The worked example in examples/ema, installed as a stranger would install it, and every command of its README."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from whole_program import Program

import hyenaprof
from hyenaprof.cli.app import app
from hyenaprof.model import Outcome

EXAMPLE = Path(__file__).parents[2] / "examples" / "ema"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line) for line in re.findall(r"^hyenaprof (.+)$", README, re.MULTILINE)]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A program beside which the example is installed, with nothing from an index."""
    site = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-index", "--no-deps")
    words = (*pip, "--no-build-isolation", "--target", site, EXAMPLE)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Program(tmp_path_factory.mktemp("example"), path=(site,))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_of_the_examples_readme_is_understood(words):
    name, *rest = words
    assert get_command(app).commands[name].make_context(name, rest)


def test_the_installed_example_is_listed_with_its_options(program):
    ended = program.run("list", "--ops", "--device", "fake")
    assert (ended.returncode, ended.stderr) == (0, "")
    for shown in ("moving average", "ema:fft, ema:doubling", "steps=64 (1 to 65536)", "hyena:fft"):
        assert shown in ended.stdout


def test_the_installed_example_verifies_with_every_gradient(program):
    ended = program.run("verify", "--ops", "ema", "--length", "1,63,128", "--json")
    assert ended.returncode == 0, ended.stderr
    checks = json.loads(ended.stdout)["checks"]
    assert {(c["implementation"], c["shape"]["length"], c["shape"]["batch"]) for c in checks} == {
        (name, length, batch) for name in ("fft", "doubling") for length in (1, 63, 128) for batch in (1, 3)
    }
    for check in checks:
        names = {entry["quantity"] for entry in check["entries"]}
        assert {"output", *(f"gradient of {name}" for name in ("x", "in_weight", "out_bias", "decay"))} <= names


def test_the_installed_example_is_measured_against_flash(program):
    ended = program.run(
        *("sweep", "--ops", "ema:fft,flash:sdpa", "--set", "ema.steps=8", "--device", "fake"),
        *("--lengths", "500,1000", "--phases", "forward", "--rounds", "1", "--no-refine", "--out", "mine"),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    run = hyenaprof.load(program.folder / "mine")
    assert {(r.point.label, r.outcome) for r in run.records} == {
        ("ema:fft[steps=8]", Outcome.OK),
        ("flash:sdpa", Outcome.OK),
    }
    assert all(check.passed for check in run.run.checks)
