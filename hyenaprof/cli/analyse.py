"""What commands print of runs and tables that are only analysed: crossovers and growth, as text or for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hyenaprof.analysis.overview import REACHES, Overview, overview, predictions
from hyenaprof.analysis.scaling import stretch_words
from hyenaprof.records.source import Source
from hyenaprof.report.growth import beyond
from hyenaprof.report.machine import as_json, overview_form
from hyenaprof.report.words import exponent_interval, predicted_latency

if TYPE_CHECKING:
    from hyenaprof.analysis.scaling import Scaling

NOTHING_COMPARED = 3


def analyse(source: Source, *, json: bool) -> int:
    """Prints what a run or a table says of crossovers and growth.

    Args:
        source: Where the numbers are from.
        json: One JSON object instead of text.

    Returns:
        Exit status: 0, or 3 where no two operators could be compared.
    """
    held = overview(source.records, phases="phase" in source.stated)
    if json:
        typer.echo(as_json(overview_form(source, held)))
    else:
        _show(source, held)
    return 0 if held.compared else NOTHING_COMPARED


def _show(source: Source, held: Overview) -> None:
    console = Console()
    for line in _statements(held):
        console.print(Text(line), soft_wrap=True)
    warnings = list(dict.fromkeys(_warnings(source, held)))
    if warnings:
        console.print(Text("\nWarnings", "bold yellow"))
    for warning in warnings:
        console.print(Text(f" - {warning}"), soft_wrap=True)
    if held.compared and any(scaling.local for scaling in held.scalings):
        console.print(Text(f"\n{_heading(held)}", "bold"), soft_wrap=True)
        console.print(_growth_table(source, held))


def _heading(held: Overview) -> str:
    stretch = stretch_words(scaling.local for scaling in held.scalings)
    return f"Growth over {stretch}, and the fitted cost past the longest length (~: predicted, not measured)"


def _statements(held: Overview) -> Iterator[str]:
    if held.nothing:
        yield held.nothing
    for entry in held.told:
        yield entry.sentence
        coming = beyond(entry.crossover, held.scalings, held.names)
        if coming:
            yield f"  {coming}"


def _warnings(source: Source, held: Overview) -> Iterator[str]:
    yield from source.warnings
    for scaling in held.scalings:
        if scaling.warning:
            yield _named(scaling.warning, held.names) + _where(scaling, source)
    for entry in held.told:
        yield from entry.crossover.warnings


def _named(text: str, names: Mapping[str, str]) -> str:
    for label in sorted(names, key=len, reverse=True):
        text = text.replace(label, names[label])
    return text


def _where(scaling: Scaling, source: Source) -> str:
    return f" ({scaling.curve.phase})" if "phase" in source.stated else ""


def _growth_table(source: Source, held: Overview) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    phases = "phase" in source.stated
    titles = ("operator", *(("phase",) if phases else ()), "time grows as")
    for title in (*titles, *(f"{reach}x longest" for reach in REACHES)):
        table.add_column(Text(title), no_wrap=True)
    for scaling in held.scalings:
        beyond = {prediction.length: prediction for prediction in predictions(scaling)}
        table.add_row(
            Text(held.names[scaling.curve.label]),
            *((Text(str(scaling.curve.phase)),) if phases else ()),
            Text(exponent_interval(scaling.local)),
            *(Text(predicted_latency(beyond.get(reach * max(scaling.observed)))) for reach in REACHES),
        )
    return table
