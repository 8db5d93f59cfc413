"""The command that puts runs together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hyenaprof.errors import JournalError, MergeError


def merge(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of two runs or more.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; an empty folder or a new one.")
    ] = None,
) -> None:
    """Put runs together into one that `report` renders.

    Visits are the same where fingerprint, point and round are; those count once. Sides that were measured in different
    runs are compared without pairs, and marked so; what was measured on different machines, or by another protocol, is
    reported side by side and never compared.

    Example: hyenaprof merge runs/on-h100 runs/on-h200 --out runs/both

    Exit status: 0 merged; 1 the runs contradict each other, each visit listed and nothing written; 2 a bad request.
    """
    from hyenaprof.records.merge import merge as merged_of
    from hyenaprof.records.merge import read_part, write

    if len(runs) < 2:
        raise JournalError("one run alone is nothing to merge", hint="name two runs' folders or more")
    parts = [read_part(folder) for folder in runs]
    for warning in dict.fromkeys(f"{part.name}: {said}" for part in parts for said in part.warnings):
        typer.secho(f"warning: {warning}", fg=typer.colors.YELLOW, err=True)
    try:
        merged = merged_of(parts)
    except MergeError as error:
        for found in error.contradictions:
            typer.echo(found)
        raise
    folder = write(merged, out)
    typer.echo(f"{merged.visits} visits from {len(runs)} runs; {merged.repeated} stood in several and count once")
    typer.echo(f"{folder}\nhyenaprof report {folder} renders it")
