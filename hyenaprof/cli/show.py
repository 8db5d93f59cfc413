"""Commands that show what was measured, and what could be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
) -> None:
    """Render a run's report again, from its journal alone.

    Needs neither torch nor the machine that measured. Writes report.md and report.html into the run's folder.
    """
    from rich.console import Console

    from hyenaprof.records.store import load_run
    from hyenaprof.report.render import render
    from hyenaprof.report.terminal import summary

    loaded = load_run(run)
    console = Console()
    for warning in loaded.warnings:
        typer.secho(f"warning: {warning}", fg=typer.colors.YELLOW, err=True)
    console.print(summary(loaded))
    for path in render(loaded):
        console.print(str(path), soft_wrap=True, highlight=False)


def list_(
    device: Annotated[str, typer.Option(metavar="DEV", help="auto, cuda, cuda:1 or cpu.")] = "auto",
) -> None:
    """List operators, implementations, whether each runs here and why not, and the shipped scenarios.

    Availability is found by really importing and building each in a worker.
    """
    from rich.console import Console

    from hyenaprof.cli.tables import implementation_list, scenario_table
    from hyenaprof.records.scenario import check_device
    from hyenaprof.resources import scenario_files
    from hyenaprof.running.availability import availability

    check_device(device)
    console = Console()
    console.print(implementation_list(availability(device)))
    console.print(scenario_table({name: Path(str(path)) for name, path in scenario_files().items()}))
