"""Commands that show what was measured, and what could be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hyenaprof.errors import JournalError, ScenarioError, did_you_mean

FIGURE_FORMATS = ("pdf", "png", "svg")


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    figures: Annotated[
        str | None,
        typer.Option(metavar="F,F", help="Also write each figure for a paper, as pdf, svg or png, and a LaTeX table."),
    ] = None,
) -> None:
    """Render a run's report again, from its journal alone.

    Needs neither torch nor the machine that measured. Writes report.md with figures/*.svg, and report.html, one file
    that needs no network, into the run's folder.

    Example: hyenaprof report runs/hyena-flash-1a2b3c4d --figures pdf
    """
    from rich.console import Console

    from hyenaprof.records.store import load_run
    from hyenaprof.report.latex import write_latex
    from hyenaprof.report.render import render
    from hyenaprof.report.terminal import summary

    prints = _print_formats(figures)
    loaded = load_run(run)
    if not loaded.headers:
        raise JournalError("the journal is empty: nothing was measured yet", hint="sweep again, it goes on from there")
    console = Console()
    for warning in loaded.warnings:
        typer.secho(f"warning: {warning}", fg=typer.colors.YELLOW, err=True)
    console.print(summary(loaded))
    written = render(loaded, prints=prints)
    if figures is not None:
        table = written[0].with_name("report.tex")
        write_latex(loaded, table)
        written.append(table)
    for path in written:
        console.print(str(path), soft_wrap=True, highlight=False)


def _print_formats(figures: str | None) -> tuple[str, ...]:
    chosen = tuple(part.strip().lower() for part in (figures or "").split(",") if part.strip())
    for name in chosen:
        if name not in FIGURE_FORMATS:
            raise ScenarioError(f"--figures {name!r} is no format", hint=did_you_mean(name, FIGURE_FORMATS))
    return tuple(name for name in chosen if name != "svg")


def list_(
    device: Annotated[str, typer.Option(metavar="DEV", help="auto, cuda, cuda:1 or cpu.")] = "auto",
    ops: Annotated[
        bool, typer.Option("--ops", help="Operators alone, with their options and what these may be.")
    ] = False,
) -> None:
    """List operators, implementations, whether each runs here and why not, and the shipped scenarios and claims.

    Availability is found by really importing and building each in a worker.

    Example: hyenaprof list --ops
    """
    from rich.console import Console

    from hyenaprof.cli.tables import claims_table, implementation_list, scenario_table
    from hyenaprof.records.scenario import check_device
    from hyenaprof.resources import claims_files, scenario_files
    from hyenaprof.running.availability import availability

    check_device(device)
    console = Console()
    console.print(implementation_list(availability(device), options=ops))
    if ops:
        return
    console.print(scenario_table({name: Path(str(path)) for name, path in scenario_files().items()}))
    console.print(claims_table(claims_files()))
