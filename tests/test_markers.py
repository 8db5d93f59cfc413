"""When tests are left out, and when a skip counts as a failure: run on small suites of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).with_name("conftest.py")
MARKERS = "".join(f"    {mark}: {mark}\n" for mark in ("gpu", "browser", "extra", "bench"))

SUITE = """
import pytest

@pytest.mark.extra
def test_extra():
    pytest.importorskip("no_such_tool")

@pytest.mark.gpu
def test_gpu():
    pytest.skip("no device")

@pytest.mark.extra
def test_extra_that_has_its_tool():
    assert True
"""


def run_suite(folder: Path, source: str, *, require: bool, markexpr: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "test_suite.py").write_text(source)
    (folder / "pytest.ini").write_text(f"[pytest]\nmarkers =\n{MARKERS}")
    environment = {**os.environ, "HYENAPROF_REQUIRE_TOOLS": "1" if require else ""}
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "-m", markexpr, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_marked_tests_are_skipped_with_the_command_that_runs_them(tmp_path):
    result = run_suite(tmp_path, SUITE, require=False)
    assert result.returncode == 0
    assert "3 skipped" in result.stdout
    assert "`make test-extra` runs this" in result.stdout


def test_a_missing_tool_fails_where_tools_are_required_and_a_missing_device_does_not(tmp_path):
    result = run_suite(tmp_path, SUITE, require=True)
    assert result.returncode == 1
    assert "1 failed, 1 passed, 1 skipped" in result.stdout
    assert "no_such_tool" in result.stdout


def test_a_module_skipped_at_import_fails_where_tools_are_required(tmp_path):
    source = 'import pytest\npytest.importorskip("no_such_tool")\ndef test_nothing():\n    assert True\n'
    assert run_suite(tmp_path, source, require=True).returncode != 0
    assert run_suite(tmp_path, source, require=False).returncode == 5  # pytest's code for "no test ran"


def test_timing_comparisons_run_only_when_asked_for(tmp_path):
    source = "import pytest\n@pytest.mark.bench\ndef test_timing():\n    assert True\n"
    assert "1 skipped" in run_suite(tmp_path, source, require=True).stdout
    assert "1 passed" in run_suite(tmp_path, source, require=False, markexpr="bench").stdout
