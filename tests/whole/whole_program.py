"""`hyenaprof` as a person runs it, in a process of its own, on the fake device; and what it leaves behind."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hyenaprof.model import JournalLine, Visit
from hyenaprof.records.journal import NAME, read_journal

MARK = "HYENAPROF_TEST_MARK"
"""Set to one value for a program and everything that it starts."""
LIMIT_S = 240.0
GONE_LIMIT_S = 30.0
"""A worker that is orphaned while it loads its libraries ends when it next reads its pipe."""


@dataclass(frozen=True)
class Program:
    """The command line, run in a folder.

    Attributes:
        folder: Where it runs; unique, it marks the processes too.
        knobs: Of the fake device.
        path: Folders from which Python may import, beside its own.
    """

    folder: Path
    knobs: Mapping[str, object] = field(default_factory=dict)
    path: tuple[Path, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Of the program and its workers."""
        inherited = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        return {
            **os.environ,
            "HYENAPROF_FAKE": json.dumps(self.knobs),
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join([*map(str, self.path), *inherited]),
            "COLUMNS": "200",
            MARK: str(self.folder),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts it, its output piped and whole lines at once."""
        return subprocess.Popen(
            [sys.executable, "-m", "hyenaprof", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs it to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=LIMIT_S)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def left_behind(self) -> list[int]:
        """Its processes that are still there when they have had time to end."""
        return [pid for pid in self.processes() if not _ends(pid)]

    def processes(self) -> list[int]:
        """The program and everything that it started, as far as it lives."""
        mark = f"{MARK}={self.folder}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:  # it ended meanwhile, or is another user's
                continue
        return found


def _ends(pid: int) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], GONE_LIMIT_S)[0])
    finally:
        os.close(descriptor)


def lines_of(run: Path) -> tuple[JournalLine, ...]:
    """A run's journal."""
    return read_journal(run / NAME)[0]


def visits_of(run: Path) -> Counter[tuple[str, str, int, int]]:
    """How often each (operator, phase, length, round) stands in a run's journal."""
    return Counter(
        (line.point.label, str(line.point.phase), line.point.shape.length, line.round)
        for line in lines_of(run)
        if isinstance(line, Visit)
    )


def grid(
    operators: tuple[str, ...], phases: tuple[str, ...], lengths: tuple[int, ...], rounds: int
) -> dict[tuple[str, str, int, int], int]:
    """What `visits_of` gives of a whole run: everything exactly once."""
    return {
        (operator, phase, length, number): 1
        for operator in operators
        for phase in phases
        for length in lengths
        for number in range(rounds)
    }
