"""Peak memory over sequence length: of one call, net of inputs and weights."""

from __future__ import annotations

from collections.abc import Sequence

from hyenaprof.analysis.sentence import OUTCOME_WORDS
from hyenaprof.model import Figure, Outcome, Section
from hyenaprof.report.answer import crossings_of, crossover_table, told_all
from hyenaprof.report.charts import DRAWN, by_length, has_hollow, left_out, looks_of, place_of, title_of
from hyenaprof.report.figures import Line, Mark, draw_lines
from hyenaprof.report.findings import Finding, Findings, Panel
from hyenaprof.report.words import PHASE_WORDS, SCOPE_SHORT
from hyenaprof.units import UNKNOWN, format_bytes, format_length


def memory(findings: Findings) -> Section | None:
    """One figure a setting, and where one side begins to need less than the other."""
    drawn = [panel for panel in findings.panels[:DRAWN] if any(f.record.memory for f in panel.findings)]
    if not drawn:
        return None
    methods = sorted({f.record.memory.method for panel in drawn for f in panel.findings if f.record.memory})
    return Section(
        title="Peak memory against length",
        anchor="memory",
        paragraphs=(
            f"Peak of one call less inputs and weights, from a separate untimed pass: {', '.join(methods)}.",
            *left_out(findings),
        ),
        figures=tuple(_figure(findings, panel) for panel in drawn),
        tables=(crossover_table(findings, "peak_memory"),) if findings.crossovers("peak_memory") else (),
    )


def _figure(findings: Findings, panel: Panel) -> Figure:
    lines = _lines(findings, panel)
    name = f"memory-{panel.number}"
    drawing = draw_lines(
        lines,
        name=name,
        title=title_of(findings, panel),
        y_label="Peak memory of one call",
        y_format=format_bytes,
        y_base=2,
        crossings=crossings_of(panel.memory),
        prints=findings.prints,
    )
    return Figure(
        svg=drawing.svg,
        caption=_caption(findings, panel, lines),
        alt=f"Peak memory against sequence length, {panel.setting.phase}. " + told_all(findings, panel.memory),
        data=by_length(findings, panel, _cell, caption="Peak bytes less inputs and weights"),
        name=name,
        prints=drawing.prints,
    )


def _lines(findings: Findings, panel: Panel) -> tuple[Line, ...]:
    style, names = looks_of(findings), findings.names
    return tuple(
        Line(names[curve.label], style[curve.label], _marks(held, names[curve.label]))
        for curve, held in panel.curves()
        if any(finding.record.memory for finding in held)
    )


def _marks(held: Sequence[Finding], name: str) -> tuple[Mark, ...]:
    marks = []
    for finding in held:
        line = finding.record.memory
        head = f"{name} L={format_length(finding.length)}"
        if line is not None and line.peak_bytes > 0:
            text = f"{head}: {format_bytes(line.peak_bytes)}"
            marks.append(Mark(finding.length, float(line.peak_bytes), None, None, text))
        elif finding.record.outcome is Outcome.OOM:
            marks.append(Mark(finding.length, None, None, None, f"{head}: out of memory", measured=False))
    return tuple(marks)


def _caption(findings: Findings, panel: Panel, lines: Sequence[Line]) -> str:
    setting = panel.setting
    return (
        f"{place_of(findings, panel)} Peak of n = 1 untimed call, less inputs and weights; in it: "
        f"{PHASE_WORDS[setting.phase]}; {SCOPE_SHORT[setting.scope]}."
        + (" Hollow, on the upper edge: out of memory." if has_hollow(lines) else "")
    )


def _cell(finding: Finding) -> str:
    if finding.record.memory is not None:
        return format_bytes(finding.record.memory.peak_bytes)
    return UNKNOWN if finding.record.outcome is Outcome.OK else OUTCOME_WORDS[finding.record.outcome]
