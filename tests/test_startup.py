"""`hyenaprof --help` answers at once because it imports nothing heavy; benchmarks/startup.py times it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "pandas", "numpy", "scipy", "seaborn", "matplotlib", "jinja2", "pynvml", "triton"}


def loaded_after(statement: str) -> set[str]:
    script = f"import sys\ntry:\n    {statement}\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in result.stderr.split()}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["sweep", "--help"], ["report", "--help"]])
def test_help_loads_no_heavy_library(arguments):
    loaded = loaded_after(f"sys.argv[1:] = {arguments}; from hyenaprof.cli.app import main; main()")
    assert "hyenaprof" in loaded
    assert loaded & HEAVY == set()


def test_importing_the_library_loads_nothing_heavy():
    assert loaded_after("import hyenaprof") & HEAVY == set()


def test_the_check_sees_a_heavy_import():
    assert "numpy" in loaded_after("import numpy")
