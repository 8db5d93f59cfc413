"""Time, speed-up and peak memory over sequence length: one figure a setting, each with the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence

from hyenaprof.analysis.crossover import sentence
from hyenaprof.analysis.sentence import OUTCOME_WORDS
from hyenaprof.model import Cell, Comparison, Crossover, Curve, Figure, Outcome, Section, Table
from hyenaprof.report.answer import counted, crossings_of, crossover_table, pair_name
from hyenaprof.report.figures import Line, Mark, draw_lines
from hyenaprof.report.findings import Finding, Findings, Panel
from hyenaprof.report.style import Look, looks
from hyenaprof.report.words import PHASE_WORDS, SCOPE_SHORT, begun, finite, latency_interval, ratio_interval
from hyenaprof.units import UNKNOWN, format_bytes, format_latency, format_length, format_ratio

DRAWN = 12
"""Settings that are drawn, the first ones; every setting stands in the table of points."""


def time(findings: Findings) -> Section:
    """Median time over length, on two logarithmic axes, crossovers marked."""
    return Section(
        title="Time against length",
        anchor="time",
        paragraphs=_left_out(findings),
        figures=tuple(_time(findings, panel) for panel in findings.panels[:DRAWN] if _any_time(panel)),
    )


def speedup(findings: Findings) -> Section | None:
    """Incumbent's time over challenger's, from paired rounds."""
    drawn = [panel for panel in findings.panels[:DRAWN] if any(x.comparisons for x in panel.latency)]
    if not drawn:
        return None
    return Section(
        title="Speed-up against length",
        anchor="speed-up",
        paragraphs=(
            "Ratios come from rounds in which both sides ran about a second apart; above 1 the first is faster.",
        ),
        figures=tuple(_speedup(findings, panel) for panel in drawn),
    )


def memory(findings: Findings) -> Section | None:
    """Peak memory of one call over length, net of inputs and weights."""
    drawn = [panel for panel in findings.panels[:DRAWN] if any(f.record.memory for f in panel.findings)]
    if not drawn:
        return None
    methods = sorted({f.record.memory.method for panel in drawn for f in panel.findings if f.record.memory})
    return Section(
        title="Peak memory against length",
        anchor="memory",
        paragraphs=(f"Peak of one call less inputs and weights, from a separate untimed pass: {', '.join(methods)}.",),
        figures=tuple(_memory(findings, panel) for panel in drawn),
        tables=(crossover_table(findings, "peak_memory"),) if findings.crossovers("peak_memory") else (),
    )


def _left_out(findings: Findings) -> tuple[str, ...]:
    extra = len(findings.panels) - DRAWN
    return (f"{extra} more settings are not drawn; their points stand in the table of points.",) if extra > 0 else ()


def _any_time(panel: Panel) -> bool:
    return any(finding.summary for finding in panel.findings)


def drawn_curves(panel: Panel) -> list[tuple[Curve, tuple[Finding, ...]]]:
    """Curves with at least one measured point; the others are rows, not lines."""
    return [(curve, held) for curve, held in panel.curves() if any(finding.summary for finding in held)]


def _looks(findings: Findings) -> dict[str, Look]:
    return looks(finding.record.point.curve for finding in findings.points)


def describe(finding: Finding, name: str) -> str:
    """What a point says under the pointer: its numbers, or why there are none."""
    head = f"{name} L={format_length(finding.length)}: "
    if finding.summary is not None:
        return f"{head}{latency_interval(finding.summary)}, n = {finding.summary.visits}"
    text = head + OUTCOME_WORDS[finding.record.outcome]
    if finding.predicted_s is not None:
        text += f", predicted {format_latency(finding.predicted_s)}, not measured"
    return text


def _time(findings: Findings, panel: Panel) -> Figure:
    style = _looks(findings)
    name = f"time-{panel.number}"
    lines = tuple(
        Line(findings.names[curve.label], style[curve.label], _time_marks(held, findings.names[curve.label]))
        for curve, held in drawn_curves(panel)
    )
    visits = counted(finding.summary.visits for finding in panel.findings if finding.summary)
    return Figure(
        svg=draw_lines(
            lines,
            name=name,
            title=_title(findings, panel),
            y_label="Time of one call",
            y_format=format_latency,
            crossings=crossings_of(panel.latency),
        ),
        caption=_caption(findings, panel, f"Median of n = {visits} visits a point, bands: 95 % intervals.", lines),
        alt=f"Time against sequence length, {panel.setting.phase}. "
        + " ".join(f"{sentence(x, findings.names)}." for x in panel.latency),
        data=_time_table(findings, panel),
        name=name,
    )


def _title(findings: Findings, panel: Panel) -> str:
    title = str(panel.setting.phase).capitalize()
    if len(findings.places) == 1:
        return title
    return f"{title}, {panel.setting.scope} {panel.setting.dtype} {panel.setting.shape}"


def _caption(findings: Findings, panel: Panel, what: str, lines: Sequence[Line]) -> str:
    setting = panel.setting
    marks = [mark for line in lines for mark in line.marks]
    return " ".join(
        (
            f"{begun(findings.place_words(setting, phase=True))}.",
            what,
            f"Timed region: {PHASE_WORDS[setting.phase]}; {SCOPE_SHORT[setting.scope]}.",
            *(["Dashed line: crossover, shaded by its interval."] if crossings_of(panel.latency) else []),
            *(["Hollow: not measured; predicted, or on the upper edge."] if any(not m.measured for m in marks) else []),
        )
    )


def _time_marks(held: Sequence[Finding], name: str) -> tuple[Mark, ...]:
    return tuple(
        Mark(
            finding.length,
            finite(finding.summary.median_s if finding.summary else finding.predicted_s),
            finite(finding.summary.low_s) if finding.summary else None,
            finite(finding.summary.high_s) if finding.summary else None,
            describe(finding, name),
            measured=finding.summary is not None,
        )
        for finding in held
    )


def _time_table(findings: Findings, panel: Panel) -> Table:
    curves = list(panel.curves())
    cells = {(curve.label, finding.length): _time_cell(finding) for curve, held in curves for finding in held}
    return Table(
        ("L", *(findings.names[curve.label] for curve, _ in curves)),
        tuple(
            (format_length(length), *(cells.get((curve.label, length), UNKNOWN) for curve, _ in curves))
            for length in panel.lengths
        ),
        caption="Median [95 % interval]",
    )


def _time_cell(finding: Finding) -> Cell:
    if finding.summary is not None:
        return Cell(latency_interval(finding.summary), sort=finite(finding.summary.median_s))
    text = OUTCOME_WORDS[finding.record.outcome]
    if finding.predicted_s is not None:
        text += f" (predicted {format_latency(finding.predicted_s)})"
    return Cell(text, tone="bad")


def _speedup(findings: Findings, panel: Panel) -> Figure:
    style = _looks(findings)
    name = f"speedup-{panel.number}"
    shown = [crossover for crossover in panel.latency if crossover.comparisons]
    sides = _sides(findings, shown)
    lines = tuple(
        Line(pair_name(findings, x), _against(style, x), tuple(_ratio_mark(findings, x, c) for c in x.comparisons))
        for x in shown
    )
    rounds = counted(comparison.rounds for x in shown for comparison in x.comparisons)
    return Figure(
        svg=draw_lines(
            lines,
            name=name,
            title=_title(findings, panel),
            y_label="Speed-up (ratio of times)",
            y_format=format_ratio,
            y_base=2,
            crossings=crossings_of(panel.latency),
            level=1.0,
            sides=sides,
        ),
        caption=_caption(
            findings, panel, f"Mean log ratio of n = {rounds} paired rounds, bands: 95 % intervals.", lines
        ),
        alt=f"Speed-up against sequence length, {panel.setting.phase}. "
        + " ".join(f"{sentence(x, findings.names)}." for x in shown),
        data=_speedup_table(findings, panel, shown),
        name=name,
    )


def _against(style: dict[str, Look], crossover: Crossover) -> Look:
    """The incumbent's colour, since ratios are over it, and the challenger's marker."""
    ours, theirs = style[crossover.challenger.label], style[crossover.incumbent.label]
    return Look(theirs.hue, ours.marker, ours.dash)


def _sides(findings: Findings, shown: Sequence[Crossover]) -> tuple[str, str]:
    below = {findings.names[x.incumbent.label] for x in shown}
    above = {findings.names[x.challenger.label] for x in shown}
    first = f"{below.pop()} faster" if len(below) == 1 else "second faster"
    return first, f"{above.pop()} faster" if len(above) == 1 else "first faster"


def _ratio_mark(findings: Findings, crossover: Crossover, comparison: Comparison) -> Mark:
    text = f"{pair_name(findings, crossover)}, L={format_length(comparison.length)}: {ratio_interval(comparison)}"
    return Mark(
        comparison.length,
        finite(comparison.ratio),
        finite(comparison.low),
        finite(comparison.high),
        f"{text}, n = {comparison.rounds}",
    )


def _speedup_table(findings: Findings, panel: Panel, shown: Sequence[Crossover]) -> Table:
    lengths = sorted({c.length for x in shown for c in x.comparisons})
    return Table(
        ("L", *(pair_name(findings, x) for x in shown)),
        tuple((format_length(n), *(ratio_interval(panel.comparison(x, n)) for x in shown)) for n in lengths),
        caption="Ratio of times [95 % interval]; ~ where it covers 1",
    )


def _memory(findings: Findings, panel: Panel) -> Figure:
    style = _looks(findings)
    name = f"memory-{panel.number}"
    curves = [(curve, held) for curve, held in panel.curves() if any(finding.record.memory for finding in held)]
    lines = tuple(
        Line(findings.names[curve.label], style[curve.label], _memory_marks(held, findings.names[curve.label]))
        for curve, held in curves
    )
    return Figure(
        svg=draw_lines(
            lines,
            name=name,
            title=_title(findings, panel),
            y_label="Peak memory of one call",
            y_format=format_bytes,
            y_base=2,
            crossings=crossings_of(panel.memory),
        ),
        caption=_caption_memory(findings, panel, lines),
        alt=f"Peak memory against sequence length, {panel.setting.phase}. "
        + " ".join(f"{sentence(x, findings.names)}." for x in panel.memory),
        data=_memory_table(findings, panel),
        name=name,
    )


def _caption_memory(findings: Findings, panel: Panel, lines: Sequence[Line]) -> str:
    hollow = any(not mark.measured for line in lines for mark in line.marks)
    return (
        f"{begun(findings.place_words(panel.setting, phase=True))}. Peak of n = 1 untimed call, less inputs and "
        f"weights; in it: {PHASE_WORDS[panel.setting.phase]}; {SCOPE_SHORT[panel.setting.scope]}."
        + (" Hollow, on the upper edge: out of memory." if hollow else "")
    )


def _memory_marks(held: Sequence[Finding], name: str) -> tuple[Mark, ...]:
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


def _memory_table(findings: Findings, panel: Panel) -> Table:
    curves = list(panel.curves())
    cells = {
        (curve.label, finding.length): format_bytes(finding.record.memory.peak_bytes)
        if finding.record.memory
        else OUTCOME_WORDS[finding.record.outcome]
        if finding.record.outcome is not Outcome.OK
        else UNKNOWN
        for curve, held in curves
        for finding in held
    }
    return Table(
        ("L", *(findings.names[curve.label] for curve, _ in curves)),
        tuple(
            (format_length(n), *(cells.get((curve.label, n), UNKNOWN) for curve, _ in curves)) for n in panel.lengths
        ),
        caption="Peak bytes less inputs and weights",
    )
