"""What the charts over sequence length share: which settings are drawn, their looks, titles, captions and data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hyenaprof.model import Cell, Table
from hyenaprof.report.figures import Line
from hyenaprof.report.findings import Finding, Findings, Panel
from hyenaprof.report.style import Look, looks
from hyenaprof.report.words import begun
from hyenaprof.units import UNKNOWN, format_length

DRAWN = 12
"""Settings that are drawn, the first ones; every setting stands in the table of points."""


def left_out(findings: Findings) -> tuple[str, ...]:
    """Says how many settings are not drawn, where some are not."""
    extra = len(findings.panels) - DRAWN
    told = "1 more setting is not drawn; its" if extra == 1 else f"{extra} more settings are not drawn; their"
    return (f"{told} points stand in the table of points.",) if extra > 0 else ()


def looks_of(findings: Findings) -> dict[str, Look]:
    """Each label's look, the same in every figure of the report."""
    return looks(finding.record.point.curve for finding in findings.points)


def title_of(findings: Findings, panel: Panel) -> str:
    """`Training`, with its setting where the run has several."""
    title = begun(str(panel.setting.phase))
    if len(findings.places) == 1:
        return title
    return f"{title}, {panel.setting.scope} {panel.setting.dtype} {panel.setting.shape}"


def place_of(findings: Findings, panel: Panel) -> str:
    """Begins a caption: "Training of the layer, float32, B=1 D=768 H=12, on Example CPU"."""
    return f"{begun(findings.place_words(panel.setting, phase=True))}."


def has_hollow(lines: Sequence[Line]) -> bool:
    """Whether any mark stands for something that was not measured."""
    return any(not mark.measured for line in lines for mark in line.marks)


def by_length(findings: Findings, panel: Panel, cell: Callable[[Finding], str | Cell], *, caption: str) -> Table:
    """The numbers behind a chart: a row a length, a column a curve."""
    curves = list(panel.curves())
    cells = {(curve.label, finding.length): cell(finding) for curve, held in curves for finding in held}
    rows = tuple(
        (format_length(length), *(cells.get((curve.label, length), UNKNOWN) for curve, _ in curves))
        for length in panel.lengths
    )
    return Table(("L", *(findings.names[curve.label] for curve, _ in curves)), rows, caption=caption)
