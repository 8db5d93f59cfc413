"""A gate in words: one line that says what came of it, one line a verdict, and a table, worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal

from hyenaprof.analysis.gate import Gate, Verdict
from hyenaprof.analysis.looks import Ruling
from hyenaprof.model import Cell, Section, Table
from hyenaprof.records.tolerances import Metric
from hyenaprof.report.markdown import document
from hyenaprof.units import UNKNOWN, format_bytes, format_close_ratio, format_energy, format_latency, format_percent

QUANTITY: dict[Metric, str] = {
    "latency": "time",
    "peak_memory": "peak memory",
    "energy": "energy",
    "outcome": "outcome",
}
_WORSE: dict[Metric, str] = {"latency": "slower", "peak_memory": "the memory", "energy": "the energy"}
_SHOW: dict[Metric, Callable[[float | None], str]] = {
    "latency": format_latency,
    "peak_memory": format_bytes,
    "energy": format_energy,
    "outcome": lambda _: UNKNOWN,
}
_TONES: dict[Ruling, Literal["", "good", "bad", "warn", "faint"]] = {
    Ruling.MISSING: "bad",
    Ruling.REGRESSED: "bad",
    Ruling.INCONCLUSIVE: "warn",
    Ruling.NOT_JUDGED: "faint",
    Ruling.IMPROVED: "good",
}
HEADER = ("point", "quantity", "base", "now", "ratio", "bounds", "verdict", "rounds", "detects", "lets pass")
CAPTION = (
    "Ratio: now over base, above 1 is worse. Bounds: the lower, and the upper, hold for all points and looks together "
    "with at least 95 % confidence. Detects: the least growth that would be flagged with 80 % power at this noise. "
    "Lets pass: the tolerance."
)
LONGEST_SUMMARY = 60
"""Rows of the summary's table: GitHub cuts a step's summary off at 1 MiB."""


def headline(gate: Gate) -> str:
    """What came of a gate, in one sentence: `red: 1 regressed, 2 inconclusive, 37 ok`."""
    if not gate.verdicts:
        return "nothing was judged"
    counted = Counter("expected" if verdict.expected else str(verdict.ruling) for verdict in gate.verdicts)
    later = sum(shift.is_red for shift in gate.shifts)
    words = [f"{counted[name]} {name}" for name in (*_COUNTED, "expected") if counted[name]]
    words += [f"{later} crossover{'s' if later > 1 else ''} later"] if later else []
    return f"{'red' if gate.is_red else 'not red'}: {', '.join(words)}"


_COUNTED = ("missing", "regressed", "inconclusive", "not judged", "improved", "ok")


def verdict_line(verdict: Verdict) -> str:
    """One verdict in words: `hyena:fft training L=8192: 1.118x slower (bounds 1.071x to 1.166x, 10 rounds)`."""
    if verdict.ratio is None:
        return f"{verdict.point}: {verdict.reason or verdict.ruling}{_excuse(verdict)}"
    show = _SHOW[verdict.metric]
    ratio = format_close_ratio(verdict.ratio) + (f" {_WORSE[verdict.metric]}" if verdict.ratio > 1 else "")
    sure = [f"bounds {bounds(verdict, ' to ')}"] if verdict.low is not None else []
    sure += [f"{verdict.rounds} rounds"] if verdict.rounds else []
    from_to = f"{show(verdict.base)} before, {show(verdict.candidate)} now"
    told = f"{verdict.point} {QUANTITY[verdict.metric]}: {ratio}" + (f" ({', '.join(sure)})" if sure else "")
    return f"{told}, {from_to}{_excuse(verdict)}"


def _excuse(verdict: Verdict) -> str:
    return f"; expected: {verdict.expected}" if verdict.expected else ""


def bounds(verdict: Verdict, between: str = " .. ") -> str:
    """The simultaneous bounds: `1.071x .. 1.166x`."""
    if verdict.low is None or verdict.high is None:
        return UNKNOWN
    return f"{format_close_ratio(verdict.low)}{between}{format_close_ratio(verdict.high)}"


def table(gate: Gate, *, most: int | None = None) -> Table:
    """All verdicts, the worst first, or the worst so many."""
    rows = tuple(_row(verdict) for verdict in gate.verdicts[:most])
    left = len(gate.verdicts) - len(rows)
    return Table(
        HEADER, rows, caption=CAPTION + (f" {left} more rows, none of them worse, are left out." if left else "")
    )


def _row(verdict: Verdict) -> tuple[str | Cell, ...]:
    show = _SHOW[verdict.metric]
    said = "expected" if verdict.expected else str(verdict.ruling)
    return (
        str(verdict.point),
        QUANTITY[verdict.metric],
        show(verdict.base),
        show(verdict.candidate),
        Cell(format_close_ratio(verdict.ratio), sort=verdict.ratio),
        bounds(verdict),
        Cell(said, tone="faint" if verdict.expected else _TONES.get(verdict.ruling, "")),
        str(verdict.rounds) if verdict.rounds else UNKNOWN,
        format_percent(verdict.detectable),
        format_percent(verdict.tolerance),
    )


def notes(gate: Gate) -> Iterator[str]:
    """What the table does not hold: reasons, crossovers, expected changes, warnings."""
    yield from (f"{v.point}: {v.reason}" for v in gate.verdicts if v.reason is not None)
    yield from (shift.text + (f"; expected: {shift.expected}" if shift.expected else "") for shift in gate.shifts)
    yield from (f"expected: {verdict_line(v)}" for v in gate.verdicts if v.expected is not None)
    yield from gate.warnings


def summary_markdown(gate: Gate, *, title: str = "hyenaprof gate", lead: str = "") -> str:
    """The gate for `$GITHUB_STEP_SUMMARY`: headline, table, notes; whatever names hold, it is taken literally.

    Args:
        gate: What came of it.
        title: The heading.
        lead: What was compared, in a sentence.
    """
    section = Section(
        title=headline(gate),
        paragraphs=tuple(notes(gate)),
        tables=(table(gate, most=LONGEST_SUMMARY),) if gate.verdicts else (),
    )
    return document(title, lead, (section,))
