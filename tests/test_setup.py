"""What stands between a fresh machine and the first command: scripts/, the Makefile and .ci/run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SH = shutil.which("sh") or "/bin/sh"


def script(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.write_text(f"#!{SH}\n{body}\n")
    path.chmod(0o755)
    return path


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in {"PYTHON", "MAKEFLAGS", "MAKELEVEL"}}
    words = [str(part) for part in command]
    return subprocess.run(
        words, cwd=ROOT, env=inherited | environment, capture_output=True, text=True, check=False, timeout=60
    )


def make_venv(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(SH, ROOT / "scripts" / "make-venv", folder / "venv", **environment)


def test_a_python_that_is_too_old_is_named_with_what_to_install(tmp_path):
    old = script(tmp_path, "old-python", '[ "$1" = --version ] && echo "Python 3.9.2" && exit 0; exit 1')
    result = make_venv(tmp_path, PYTHON=str(old))
    assert result.returncode == 2
    assert "needs Python 3.11 or newer; found: Python 3.9.2" in result.stderr
    assert "apt-get install python3.11 python3.11-venv" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_no_python_at_all_is_said(tmp_path):
    result = make_venv(tmp_path, PATH=str(tmp_path))
    assert result.returncode == 2
    assert "needs Python 3.11 or newer; found: no python3" in result.stderr


def test_a_newer_name_is_tried_when_python3_is_too_old(tmp_path):
    script(tmp_path, "python3", "exit 1")
    script(tmp_path, "python3.12", f'echo "$@" >> {tmp_path}/called')
    assert make_venv(tmp_path, PATH=str(tmp_path)).returncode == 0
    assert (tmp_path / "called").read_text().splitlines()[-1] == f"-m venv {tmp_path}/venv"


def test_the_package_is_named_where_venv_is_missing(tmp_path):
    split = script(tmp_path, "python", f'case "$*" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"')
    result = make_venv(tmp_path, PYTHON=str(split))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert result.returncode == 2
    assert f"apt-get install {version}-venv" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_make_sweep_runs_the_default_question_or_the_arguments_given(tmp_path):
    commands = run("make", "-n", "sweep", f"VENV={tmp_path}/venv").stdout
    assert f"{tmp_path}/venv/bin/hyenaprof sweep --ops hyena,flash --max-len 131072\n" in commands
    assert "install -c constraints.txt -e .\n" in commands
    given = run("make", "-n", "sweep", f"VENV={tmp_path}/venv", "ARGS=modern --budget 3m").stdout
    assert f"{tmp_path}/venv/bin/hyenaprof sweep modern --budget 3m\n" in given


def test_an_environment_that_is_there_is_not_installed_again(tmp_path):
    (tmp_path / "venv").mkdir()
    for stamp in (".made", ".package", ".tools", ".axe", ".compared"):
        (tmp_path / "venv" / stamp).touch()
    for target in ("sweep", "test", "test-extra"):
        commands = run("make", "-n", target, f"VENV={tmp_path}/venv").stdout
        assert "pip" not in commands
        assert commands


def test_make_test_runs_every_check(tmp_path):
    commands = run("make", "-n", "test", f"VENV={tmp_path}/venv").stdout
    for tool in ("ruff format --check .", "ruff check .", "mypy", "pytest"):
        assert f"{tmp_path}/venv/bin/{tool}\n" in commands


def test_make_test_extra_allows_no_skip(tmp_path):
    commands = run("make", "-n", "test-extra", f"VENV={tmp_path}/venv").stdout
    assert "scripts/extra-tools\n" in commands
    assert f'HYENAPROF_REQUIRE_TOOLS=1 {tmp_path}/venv/bin/pytest -m "browser or extra"\n' in commands


def test_make_alone_explains_every_target():
    explained = set(re.findall(r"^make ([a-z-]+)", run("make").stdout, re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert explained == set(phony.split()) - {"help"}


def test_a_browser_is_asked_for_where_it_cannot_be_installed(tmp_path):
    script(tmp_path, "id", "echo 1000")
    result = run(SH, ROOT / "scripts" / "extra-tools", PATH=str(tmp_path))
    assert result.returncode == 2
    assert "apt-get install chromium" in result.stderr


def test_a_browser_that_is_there_is_enough(tmp_path):
    script(tmp_path, "chromium", "exit 0")
    assert run(SH, ROOT / "scripts" / "extra-tools", PATH=str(tmp_path)).returncode == 0


@pytest.mark.parametrize(
    ("failing", "code"), [("none", 0), ("test", 1), ("test-extra", 1)], ids=["none", "test", "test-extra"]
)
def test_the_whole_check_runs_both_parts_and_fails_with_either(tmp_path, failing, code):
    script(tmp_path, "make", f'echo "ran $1" >> {tmp_path}/ran; [ "$1" != "{failing}" ]')
    result = run("bash", ROOT / ".ci" / "run", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert result.returncode == code
    assert (tmp_path / "ran").read_text().split("\n")[:2] == ["ran test", "ran test-extra"]
