"""Time over sequence length, on two logarithmic axes, crossovers marked and predictions hollow."""

from __future__ import annotations

from collections.abc import Sequence

from hyenaprof.analysis.sentence import OUTCOME_WORDS
from hyenaprof.model import Cell, Figure, Section
from hyenaprof.report.answer import counted, crossings_of, told_all
from hyenaprof.report.charts import DRAWN, by_length, has_hollow, left_out, looks_of, place_of, title_of
from hyenaprof.report.figures import Line, Mark, draw_lines
from hyenaprof.report.findings import Finding, Findings, Panel
from hyenaprof.report.words import PHASE_WORDS, SCOPE_SHORT, finite, latency_interval
from hyenaprof.units import format_latency, format_length


def time(findings: Findings) -> Section:
    """One figure a setting: medians, intervals, crossovers, and what was not measured."""
    drawn = [panel for panel in findings.panels[:DRAWN] if any(finding.summary for finding in panel.findings)]
    return Section(
        title="Time against length",
        anchor="time",
        paragraphs=left_out(findings),
        figures=tuple(_figure(findings, panel) for panel in drawn),
    )


def _figure(findings: Findings, panel: Panel) -> Figure:
    lines = _lines(findings, panel)
    name = f"time-{panel.number}"
    drawing = draw_lines(
        lines,
        name=name,
        title=title_of(findings, panel),
        y_label="Time of one call",
        y_format=format_latency,
        crossings=crossings_of(panel.latency),
        prints=findings.prints,
    )
    return Figure(
        svg=drawing.svg,
        caption=_caption(findings, panel, lines),
        alt=f"Time against sequence length, {panel.setting.phase}. " + told_all(findings, panel.latency),
        data=by_length(findings, panel, _cell, caption="Median [95 % interval]"),
        name=name,
        prints=drawing.prints,
    )


def _lines(findings: Findings, panel: Panel) -> tuple[Line, ...]:
    """Curves with at least one measured point; the others are rows, not lines."""
    style, names = looks_of(findings), findings.names
    return tuple(
        Line(names[curve.label], style[curve.label], tuple(_mark(finding, names[curve.label]) for finding in held))
        for curve, held in panel.curves()
        if any(finding.summary for finding in held)
    )


def _mark(finding: Finding, name: str) -> Mark:
    summary = finding.summary
    return Mark(
        finding.length,
        finite(summary.median_s if summary else finding.predicted_s),
        finite(summary.low_s) if summary else None,
        finite(summary.high_s) if summary else None,
        describe(finding, name),
        measured=summary is not None,
    )


def describe(finding: Finding, name: str) -> str:
    """What a point says under the pointer: its numbers, or why there are none."""
    head = f"{name} L={format_length(finding.length)}: "
    if finding.summary is not None:
        return f"{head}{latency_interval(finding.summary)}, n = {finding.summary.visits}"
    text = head + OUTCOME_WORDS[finding.record.outcome]
    if finding.predicted_s is not None:
        text += f", predicted {format_latency(finding.predicted_s)}, not measured"
    return text


def _caption(findings: Findings, panel: Panel, lines: Sequence[Line]) -> str:
    setting = panel.setting
    visits = counted(finding.summary.visits for finding in panel.findings if finding.summary)
    parts = [
        place_of(findings, panel),
        f"Median of n = {visits} visits a point, bands: 95 % intervals.",
        f"Timed region: {PHASE_WORDS[setting.phase]}; {SCOPE_SHORT[setting.scope]}.",
    ]
    if crossings_of(panel.latency):
        parts.append("Dashed line: crossover, shaded by its interval.")
    if has_hollow(lines):
        parts.append("Hollow: not measured; predicted, or on the upper edge.")
    return " ".join(parts)


def _cell(finding: Finding) -> Cell:
    if finding.summary is not None:
        return Cell(latency_interval(finding.summary), sort=finite(finding.summary.median_s))
    text = OUTCOME_WORDS[finding.record.outcome]
    if finding.predicted_s is not None:
        text += f" (predicted {format_latency(finding.predicted_s)})"
    return Cell(text, tone="bad")
