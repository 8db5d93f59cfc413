"""Where else a gate's verdicts go: files that were asked for, and GitHub's page and annotations in a workflow."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hyenaprof.errors import GateError

if TYPE_CHECKING:
    from hyenaprof.analysis.gate import Gate


@dataclass(frozen=True, slots=True)
class Outputs:
    """Files to write, None for those that were not asked for.

    Attributes:
        json: The verdicts, whole.
        junit: A test case a verdict.
        benchmark_json: For github-action-benchmark.
    """

    json: Path | None = None
    junit: Path | None = None
    benchmark_json: Path | None = None

    def write(self, gate: Gate, *, status: int, lead: str) -> None:
        """Writes all of them, and what GitHub shows where this is a step of its workflow.

        Args:
            gate: The verdicts.
            status: The exit status.
            lead: What was compared, in a sentence.

        Raises:
            GateError: A file cannot be written.
        """
        from hyenaprof.report.verdict_files import benchmark_json, gate_json, junit_xml, workflow_commands
        from hyenaprof.report.verdicts import summary_markdown

        if self.json is not None:
            _write(self.json, gate_json(gate, exit_code=status))
        if self.junit is not None:
            _write(self.junit, junit_xml(gate))
        if self.benchmark_json is not None:
            _write(self.benchmark_json, benchmark_json(gate))
        if page := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(page).open("a", encoding="utf-8") as summary:
                summary.write(summary_markdown(gate, lead=lead))
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in workflow_commands(gate):
                typer.echo(line)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise GateError(
            f"cannot write {path.name}: {error.strerror}", hint="name a file in a folder of yours"
        ) from None
