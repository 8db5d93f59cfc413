"""Runs the command line in this process, as `hyenaprof ARGUMENTS` would."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from unittest.mock import patch

import pytest

from hyenaprof.cli.app import main


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: Its exit status.
        out: What it wrote to stdout.
        err: What it wrote to stderr.
    """

    status: int
    out: str
    err: str

    def said(self) -> tuple[str, str]:
        """The error and the hint, where there was just that: one sentence, one hint, nothing else on stderr."""
        error, hint, *rest = self.err.splitlines()
        assert not rest
        assert error.startswith("error: ")
        assert hint.startswith("hint: ")
        return error.removeprefix("error: "), hint.removeprefix("hint: ")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """Runs a command to its end."""
    with patch.object(sys, "argv", ["hyenaprof", *arguments]):
        try:
            main()
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    captured = capsys.readouterr()
    return Ended(status, captured.out, captured.err)
