"""Draws curves over sequence length: one panel a call, from marks to SVG. What is drawn is decided by the sections."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hyenaprof.report.style import (
    FAINT,
    INK,
    PAPER,
    Dash,
    Frame,
    Look,
    add_legend,
    canvas,
    legend_rows,
    set_length_axis,
    shortened,
)
from hyenaprof.report.svg import Drawing, finish
from hyenaprof.units import format_length

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARK_SIZE = 6.0
WIDEST_BAND = 2.0
"""How far an interval may stretch the axis past the outermost values: two visits can have one of a hundredfold."""
NARROWEST_AXIS = 6.0
"""Ratio of an axis's ends from which two ticks lie between them for certain."""
EDGE = 0.975
"""Height, as a share of the axes, at which marks without a value are drawn."""
DECADES = 4.0
"""Height of a logarithmic axis in decades up to which 2 and 5 are marked too."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One point of a line.

    Attributes:
        length: Tokens.
        value: In base units; None for a point without any, drawn hollow on the upper edge.
        low: Lower end of the interval, if there is one.
        high: Upper end.
        text: What the mark says under the pointer.
        measured: False draws it hollow, joined by dots, outside the band.
    """

    length: int
    value: float | None
    low: float | None
    high: float | None
    text: str
    measured: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """Marks of one curve, by length."""

    label: str
    look: Look
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A crossover to be marked on the axis of lengths, in tokens."""

    length: float
    low: float | None
    high: float | None


def draw_lines(
    lines: Sequence[Line],
    *,
    name: str,
    title: str,
    y_label: str,
    y_format: Callable[[float], str],
    y_base: int = 10,
    crossings: Sequence[Crossing] = (),
    level: float | None = None,
    sides: tuple[str, str] | None = None,
    prints: Sequence[str] = (),
) -> Drawing:
    """Draws curves over sequence length on logarithmic axes.

    Args:
        lines: Curves; those without a mark are left out.
        name: Of the figure, unique in its page.
        title: Above the axes.
        y_label: Quantity and nothing else; units stand at the ticks.
        y_format: Writes a tick's value.
        y_base: 10, or 2 for binary sizes and ratios.
        crossings: Lengths to be marked, with their intervals.
        level: A value across which a horizontal line is drawn, such as 1 for ratios.
        sides: What lies below and above the level.
        prints: Formats wanted besides SVG.
    """
    low, high = _span(lines, level)
    ticks = value_ticks(low, high, base=y_base)
    labels = [shortened(line.label) for line in lines]
    labels += ["not measured"] if any(not mark.measured for line in lines for mark in line.marks) else []
    frame = Frame(tick_signs=max(len(y_format(tick)) for tick in ticks), legend_rows=legend_rows(labels))
    titles: dict[str, tuple[str, ...]] = {}
    with canvas(frame) as axes:
        set_length_axis(axes, [mark.length for line in lines for mark in line.marks])
        _set_value_axis(axes, (low, high), base=y_base, ticks=ticks, write=y_format)
        axes.set_ylabel(y_label)
        axes.grid(visible=True, which="major")
        axes.set_axisbelow(True)
        _mark_crossings(axes, crossings)
        if level is not None:
            _mark_level(axes, level, sides)
        for number, line in enumerate(lines):
            titles |= _draw_line(axes, line, prefix=f"m{number}")
        _legend(axes, lines, labels)
        axes.set_title(shortened(title, most=56), loc="left", pad=8)
        return finish(axes, name=name, titles=titles, prints=prints)


def _span(lines: Sequence[Line], level: float | None) -> tuple[float, float]:
    marks = [mark for line in lines for mark in line.marks]
    values = [mark.value for mark in marks if mark.value is not None and mark.value > 0] + ([level] if level else [])
    if not values:
        return 1.0, 10.0
    bounds = [end for mark in marks for end in (mark.low, mark.high) if end is not None and end > 0]
    low = max(min([*values, *bounds]), min(values) / WIDEST_BAND)
    high = min(max([*values, *bounds]), max(values) * WIDEST_BAND)
    margin = max((high / low) ** 0.07, math.sqrt(NARROWEST_AXIS * low / high), 1.15)
    return low / margin, high * margin


def _set_value_axis(
    axes: Axes, span: tuple[float, float], *, base: int, ticks: Sequence[float], write: Callable[[float], str]
) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    axes.set_yscale("log", base=base)
    axes.set_ylim(*span)
    axes.set_yticks(ticks, [write(tick) for tick in ticks])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())


def value_ticks(low: float, high: float, *, base: int) -> list[float]:
    """Ticks of a logarithmic axis: powers of ten (with 2 and 5 on a short one), or powers of two, at most about eight."""
    if base == 2:
        first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
        step = max(1, math.ceil((last - first + 1) / 8))
        return [2.0**power for power in range(first, last + 1) if power % step == 0]
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if math.log10(high / low) < DECADES / 2 else (1,)
    ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    return [tick for tick in ticks if low <= tick <= high]


def _mark_level(axes: Axes, level: float, sides: tuple[str, str] | None) -> None:
    axes.axhline(level, color=INK.light, linewidth=1.0, zorder=1.5)
    for text, place, align in zip(sides or (), (-4, 4), ("top", "bottom"), strict=False):
        axes.annotate(
            shortened(text),
            (1.0, level),
            xycoords=("axes fraction", "data"),
            xytext=(-2, place),
            textcoords="offset points",
            ha="right",
            va=align,
            fontsize=10,
            color=FAINT.light,
        )


def _mark_crossings(axes: Axes, crossings: Sequence[Crossing]) -> None:
    for place, crossing in enumerate(crossings):
        if crossing.low is not None and crossing.high is not None:
            axes.axvspan(crossing.low, crossing.high, color=FAINT.light, alpha=0.18, linewidth=0, zorder=1)
        axes.axvline(crossing.length, color=INK.light, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.2)
        axes.annotate(
            format_length(round(crossing.length)),
            (crossing.length, 0.0),
            xycoords=("data", "axes fraction"),
            xytext=(4, 4 + 13 * place),
            textcoords="offset points",
            fontweight="bold",
        )


def _draw_line(axes: Axes, line: Line, *, prefix: str) -> dict[str, tuple[str, ...]]:
    """Draws band, strokes and marks; gives what the marks of each group say, by the group's gid."""
    measured = [mark for mark in line.marks if mark.measured and mark.value is not None]
    predicted = [mark for mark in line.marks if not mark.measured and mark.value is not None]
    nowhere = [mark for mark in line.marks if mark.value is None]
    _band(axes, line, measured)
    _stroke(axes, measured, colour=line.look.hue.light, dash=line.look.dash)
    _stroke(axes, [*measured[-1:], *predicted] if predicted else [], colour=line.look.hue.light, dash=(0, (1, 2)))
    groups = {f"{prefix}-measured": measured, f"{prefix}-predicted": predicted, f"{prefix}-nowhere": nowhere}
    for gid, marks in groups.items():
        if marks:
            _dots(axes, marks, line.look, gid=gid)
    return {gid: tuple(mark.text for mark in marks) for gid, marks in groups.items() if marks}


def _band(axes: Axes, line: Line, measured: Sequence[Mark]) -> None:
    held = [(mark.length, mark.low, mark.high) for mark in measured if mark.low is not None and mark.high is not None]
    if len(held) > 1:
        lengths, lows, highs = zip(*held, strict=True)
        axes.fill_between(lengths, lows, highs, color=line.look.hue.light, alpha=0.22, linewidth=0, zorder=2)
    elif held:  # a point alone has no band, but its interval all the same
        axes.vlines(*held[0], color=line.look.hue.light, alpha=0.5, linewidth=2.5, zorder=2)


def _stroke(axes: Axes, marks: Sequence[Mark], *, colour: str, dash: Dash) -> None:
    if len(marks) > 1:
        axes.plot(
            [mark.length for mark in marks],
            [mark.value or math.nan for mark in marks],
            color=colour,
            linestyle=dash,
            linewidth=1.8,
            zorder=2.5,
        )


def _dots(axes: Axes, marks: Sequence[Mark], look: Look, *, gid: str) -> None:
    """Marks of one group, all with a value or all without; those without go to the upper edge."""
    filled, on_edge = marks[0].measured, marks[0].value is None
    axes.plot(
        [mark.length for mark in marks],
        [EDGE if mark.value is None else mark.value for mark in marks],
        transform=axes.get_xaxis_transform() if on_edge else axes.transData,
        marker=look.marker,
        markersize=MARK_SIZE,
        markerfacecolor=look.hue.light if filled else PAPER.light,
        markeredgecolor=look.hue.light,
        markeredgewidth=0.6 if filled else 1.5,
        linestyle="none",
        gid=gid,
        clip_on=False,
        zorder=4 if filled else 3.5,
    )


def _legend(axes: Axes, lines: Sequence[Line], labels: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=line.look.hue.light, marker=line.look.marker, markersize=MARK_SIZE, linestyle=line.look.dash
        )
        for line in lines
    ]
    if len(labels) > len(handles):
        hollow = Line2D([], [], color=FAINT.light, marker="o", markerfacecolor=PAPER.light, linestyle=":")
        handles.append(hollow)
    add_legend(axes, handles, labels)
