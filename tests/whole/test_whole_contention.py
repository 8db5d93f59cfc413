"""Another process on the same CPU: a person is told of it; and nobody is accused on a quiet machine."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from whole_program import Program

import hyenaprof

QUIET_RUNS = 5
QUIET_PERCENT = 2.0
BURN = "while True: pass"


class OnCPU(Program):
    """The program with a lock of its own: its times are nobody's result."""

    @property
    def environment(self):
        return {**super().environment, "TMPDIR": str(self.folder)}

    def sweep(self, out):
        """Two operators whose visits last some tenths of a second: the kernel's counters tick every 10 ms."""
        return self.run(
            *("sweep", "--ops", "flash:sdpa,attention:math", "--device", "cpu", "--threads", "1", "--width", "64"),
            *("--lengths", "2048", "--phases", "forward", "--rounds", "1", "--out", out),
        )

    def accusations(self, out):
        """Points whose visits were found contended, of all points that were measured."""
        records = hyenaprof.load(self.folder / out).records
        accused = [r for r in records if any(warning.startswith("contended: ") for warning in r.warnings)]
        return len(accused), len(records)


@contextmanager
def only_on(cpu):
    """Keeps this process, and whatever it starts meanwhile, on one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def test_a_process_that_burns_the_cpu_during_a_sweep_is_named_in_terminal_and_report(tmp_path):
    program = OnCPU(tmp_path)
    with only_on(max(os.sched_getaffinity(0))):
        burner = subprocess.Popen([sys.executable, "-ISc", BURN])
        try:
            ended = program.sweep("mine")
        finally:
            burner.kill()
            burner.wait()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert program.accusations("mine") == (2, 2)
    at_once, at_the_end = ended.stdout.split("nothing is left to measure")
    named = "contended: other processes used "
    assert at_once.count("warning: ") == at_once.count(named) == 1, "each kind of warning is shown once while it runs"
    assert "contended (" in at_the_end
    assert named in (tmp_path / "mine" / "report.md").read_text(encoding="utf-8")
    assert "contended" in (tmp_path / "mine" / "report.html").read_text(encoding="utf-8")


def pressure_percent():
    """Share of the last ten seconds in which somebody waited for a CPU; None where the kernel does not say."""
    pressure = Path("/proc/pressure/cpu")
    if not pressure.exists():
        return None
    some = pressure.read_text(encoding="ascii").split()
    return next(float(word.removeprefix("avg10=")) for word in some if word.startswith("avg10="))


@pytest.mark.bench
@pytest.mark.parametrize("_number", range(QUIET_RUNS))
def test_a_sweep_on_a_quiet_machine_is_never_called_contended(tmp_path, _number):
    before = pressure_percent()
    if before is None or before >= QUIET_PERCENT:
        pytest.skip(f"somebody waited for a CPU {before} % of the last 10 s: the machine is not quiet")
    program = OnCPU(tmp_path)
    ended = program.sweep("mine")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "contended" not in ended.stdout
    assert program.accusations("mine") == (0, 2)
