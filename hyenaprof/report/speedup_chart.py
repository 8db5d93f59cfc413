"""Speed-up over sequence length: the incumbent's time over the challenger's, from paired rounds."""

from __future__ import annotations

from collections.abc import Sequence

from hyenaprof.model import Comparison, Crossover, Figure, Section, Table
from hyenaprof.report.answer import crossings_of, pair_name, rounds_of, told_all
from hyenaprof.report.charts import DRAWN, left_out, looks_of, place_of, title_of
from hyenaprof.report.figures import Line, Mark, draw_lines
from hyenaprof.report.findings import Findings, Panel
from hyenaprof.report.style import Look
from hyenaprof.report.words import PHASE_WORDS, SCOPE_SHORT, finite, ratio_interval
from hyenaprof.units import format_length, format_ratio

PAIRED = "Ratios come from rounds in which both sides ran one after the other; above 1 the first is faster."
UNPAIRED = "Where the sides have no such round, the ratio is that of their separate visits, and said to be not paired."


def speedup(findings: Findings) -> Section | None:
    """One figure a setting, a curve a pair."""
    drawn = [panel for panel in findings.panels[:DRAWN] if any(x.comparisons for x in panel.latency)]
    if not drawn:
        return None
    return Section(
        title="Speed-up against length",
        anchor="speed-up",
        paragraphs=(PAIRED, *((UNPAIRED,) if _any_unpaired(drawn) else ()), *left_out(findings)),
        figures=tuple(_figure(findings, panel) for panel in drawn),
    )


def _any_unpaired(panels: Sequence[Panel]) -> bool:
    return not all(c.paired for panel in panels for x in panel.latency for c in x.comparisons)


def _figure(findings: Findings, panel: Panel) -> Figure:
    shown = [crossover for crossover in panel.latency if crossover.comparisons]
    name = f"speedup-{panel.number}"
    drawing = draw_lines(
        _lines(findings, shown),
        name=name,
        title=title_of(findings, panel),
        y_label="Speed-up (ratio of times)",
        y_format=format_ratio,
        y_base=2,
        crossings=crossings_of(panel.latency),
        level=1.0,
        sides=_sides(findings, shown),
        prints=findings.prints,
    )
    return Figure(
        svg=drawing.svg,
        caption=_caption(findings, panel, shown),
        alt=f"Speed-up against sequence length, {panel.setting.phase}. " + told_all(findings, shown),
        data=_table(findings, panel, shown),
        name=name,
        prints=drawing.prints,
    )


def _lines(findings: Findings, shown: Sequence[Crossover]) -> tuple[Line, ...]:
    style = looks_of(findings)
    return tuple(
        Line(pair_name(findings, x), _look(style, x), tuple(_mark(findings, x, c) for c in x.comparisons))
        for x in shown
    )


def _look(style: dict[str, Look], crossover: Crossover) -> Look:
    """The incumbent's colour, since ratios are over it, and the challenger's marker."""
    ours, theirs = style[crossover.challenger.label], style[crossover.incumbent.label]
    return Look(theirs.hue, ours.marker, ours.dash)


def _mark(findings: Findings, crossover: Crossover, comparison: Comparison) -> Mark:
    text = f"{pair_name(findings, crossover)}, L={format_length(comparison.length)}: {ratio_interval(comparison)}"
    return Mark(
        comparison.length,
        finite(comparison.ratio),
        finite(comparison.low),
        finite(comparison.high),
        f"{text}, n = {comparison.rounds}",
    )


def _sides(findings: Findings, shown: Sequence[Crossover]) -> tuple[str, str]:
    """What lies below and above 1: the operators where there is one pair, else the first and the second of each."""
    below = {findings.names[x.incumbent.label] for x in shown}
    above = {findings.names[x.challenger.label] for x in shown}
    first = f"{below.pop()} faster" if len(below) == 1 else "second faster"
    return first, f"{above.pop()} faster" if len(above) == 1 else "first faster"


def _caption(findings: Findings, panel: Panel, shown: Sequence[Crossover]) -> str:
    setting = panel.setting
    parts = [
        place_of(findings, panel),
        f"Mean log ratio of {rounds_of(shown)}, bands: 95 % intervals.",
        f"Timed region: {PHASE_WORDS[setting.phase]}; {SCOPE_SHORT[setting.scope]}.",
    ]
    if crossings_of(panel.latency):
        parts.append("Dashed line: crossover, shaded by its interval.")
    return " ".join(parts)


def _table(findings: Findings, panel: Panel, shown: Sequence[Crossover]) -> Table:
    lengths = sorted({comparison.length for x in shown for comparison in x.comparisons})
    return Table(
        ("L", *(pair_name(findings, x) for x in shown)),
        tuple((format_length(n), *(ratio_interval(panel.comparison(x, n)) for x in shown)) for n in lengths),
        caption="Ratio of times [95 % interval]; ~ where it covers 1",
    )
