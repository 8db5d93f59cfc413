"""How a gate ends: its table on the terminal, what it comes to, and the exit status."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from hyenaprof.analysis.gate import Gate, Verdict
from hyenaprof.analysis.looks import Ruling
from hyenaprof.errors import NothingMeasuredError
from hyenaprof.report.verdicts import QUANTITY, bounds, headline, notes
from hyenaprof.units import UNKNOWN, format_bytes, format_close_ratio, format_energy, format_latency, format_percent

RED, TOO_NOISY = 1, 4
WIDE = 110
"""Columns from which on a table has room for the medians."""
STYLES = {
    Ruling.MISSING: "bold red",
    Ruling.REGRESSED: "bold red",
    Ruling.INCONCLUSIVE: "yellow",
    Ruling.IMPROVED: "green",
}
_FORMATS = {"latency": format_latency, "peak_memory": format_bytes, "energy": format_energy}


def table_of(gate: Gate, *, width: int) -> RenderableType:
    """The verdicts, worst first; memory and energy that are as they were, and what runs on neither side, left out.

    Args:
        gate: The verdicts.
        width: Columns of the terminal: a narrow one shows no medians.
    """
    table = Table(box=None, padding=(0, 2, 0, 0))
    medians = ("base", "now") if width >= WIDE else ()
    for title in ("point", *medians, "ratio", "bounds", "verdict", "rounds", "detects"):
        left = title in {"point", "verdict"}
        table.add_column(title, justify="left" if left else "right", overflow="fold", no_wrap=not left)
    for verdict in filter(_is_shown, gate.verdicts):
        style = "dim" if verdict.expected else STYLES.get(verdict.ruling, "")
        table.add_row(*map(Text, _row(verdict, medians=bool(medians))), style=style)
    return Group(table, Text("detects: the least growth that would be flagged here with 80 % power", "dim"))


def _is_shown(verdict: Verdict) -> bool:
    if verdict.ruling is Ruling.NOT_JUDGED:
        return False
    return verdict.metric in {"latency", "outcome"} or verdict.ruling is not Ruling.OK


def _row(verdict: Verdict, *, medians: bool) -> Iterator[str]:
    form = _FORMATS.get(verdict.metric, format_latency)
    timed = verdict.metric in {"latency", "outcome"}
    yield str(verdict.point) if timed else f"{verdict.point} {QUANTITY[verdict.metric]}"
    if medians:
        yield form(verdict.base)
        yield form(verdict.candidate)
    yield format_close_ratio(verdict.ratio)
    yield bounds(verdict)
    yield f"{verdict.ruling}, expected" if verdict.expected else str(verdict.ruling)
    yield str(verdict.rounds or UNKNOWN)
    yield format_percent(verdict.detectable)


def noise_of(gate: Gate) -> str:
    """How noisy it was, and what would help."""
    found = [v.detectable for v in gate.verdicts if v.ruling is Ruling.INCONCLUSIVE and v.detectable is not None]
    share = f"too noisy to judge: {format_percent(gate.inconclusive_share)} of the points are inconclusive"
    if found:
        share += f"; at their median a slowdown of {format_percent(median(found))} would be flagged with 80 % power"
    return (
        f"{share}. What would help: a larger --budget where it ended early, nothing else running, --threads 1 (CPU time "
        "is the clock then), longer calls, locked GPU clocks, more stored sessions; or a larger --tolerance"
    )


def status_of(gate: Gate, *, max_inconclusive: float, strict: bool) -> int:
    """The exit status: 0 no regression, 1 red, 4 too noisy to judge.

    Args:
        gate: The verdicts.
        max_inconclusive: Share of the points that may be inconclusive.
        strict: Let none be.

    Raises:
        NothingMeasuredError: No point ran on both sides, and none is red.
    """
    if gate.is_red:
        return RED
    if not any(verdict.ratio is not None for verdict in gate.verdicts):
        reasons = [verdict.reason for verdict in gate.verdicts if verdict.reason]
        raise NothingMeasuredError(
            "no point could be measured on both sides", hint=reasons[0] if reasons else "the suite is empty"
        )
    return TOO_NOISY if gate.inconclusive_share > (0.0 if strict else max_inconclusive) else 0


def tell(gate: Gate, *, status: int, console: Console) -> None:
    """Prints the table, what it does not hold, and what it all comes to."""
    console.print(table_of(gate, width=console.width))
    for note in notes(gate):
        console.print(Text(note), soft_wrap=True)
    if status == TOO_NOISY:
        console.print(Text(noise_of(gate), "yellow"), soft_wrap=True)
    console.print(Text(headline(gate), "bold"), soft_wrap=True)
