"""Draws: one panel a call, from marks and lines to SVG. What is drawn is decided by the sections."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hyenaprof.report.style import FAINT, GRID, INK, PAPER, WIDE_IN, Dash, Look, canvas, set_length_axis
from hyenaprof.report.svg import to_svg
from hyenaprof.units import format_length

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

LEGEND_SIGNS = 56
"""Characters that fit below a figure in one row."""
LEGEND_HANDLE_SIGNS = 7
MARK_SIZE = 6.0
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
) -> str:
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

    Returns:
        An SVG element.
    """
    titles: dict[str, str] = {}
    with canvas() as axes:
        lengths = [mark.length for line in lines for mark in line.marks]
        set_length_axis(axes, [*lengths, *(crossing.length for crossing in crossings)])
        _set_value_axis(axes, lines, base=y_base, write=y_format, level=level)
        axes.set_ylabel(y_label)
        axes.grid(visible=True, which="major")
        axes.set_axisbelow(True)
        _mark_crossings(axes, crossings)
        if level is not None:
            _mark_level(axes, level, sides)
        for number, line in enumerate(lines):
            titles |= _draw_line(axes, line, prefix=f"m{number}")
        _legend(axes, lines)
        axes.set_title(shortened(title, most=56), loc="left", pad=8)
        return to_svg(axes, name=name, titles=titles)


def _set_value_axis(
    axes: Axes, lines: Sequence[Line], *, base: int, write: Callable[[float], str], level: float | None
) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    values = [v for line in lines for m in line.marks for v in (m.value, m.low, m.high) if v is not None and v > 0]
    values += [level] if level else []
    low, high = (min(values), max(values)) if values else (1.0, float(base))
    axes.set_yscale("log", base=base)
    margin = max((high / low) ** 0.07, 1.15)
    axes.set_ylim(low / margin, high * margin)
    axes.yaxis.set_major_locator(FixedLocator(value_ticks(low / margin, high * margin, base=base)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: write(value)))
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


def _draw_line(axes: Axes, line: Line, *, prefix: str) -> dict[str, str]:
    measured = [mark for mark in line.marks if mark.measured and mark.value is not None]
    predicted = [mark for mark in line.marks if not mark.measured and mark.value is not None]
    _band(axes, line, measured)
    _stroke(axes, measured, colour=line.look.hue.light, dash=line.look.dash)
    _stroke(axes, [*measured[-1:], *predicted] if predicted else [], colour=line.look.hue.light, dash=(0, (1, 2)))
    return {
        gid: mark.text
        for gid, mark in ((f"{prefix}-{index}", mark) for index, mark in enumerate(line.marks))
        if _dot(axes, mark, line.look, gid=gid)
    }


def _band(axes: Axes, line: Line, measured: Sequence[Mark]) -> None:
    held = [(mark.length, mark.low, mark.high) for mark in measured if mark.low is not None and mark.high is not None]
    if len(held) > 1:
        lengths, lows, highs = zip(*held, strict=True)
        axes.fill_between(lengths, lows, highs, color=line.look.hue.light, alpha=0.22, linewidth=0, zorder=2)


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


def _dot(axes: Axes, mark: Mark, look: Look, *, gid: str) -> bool:
    on_edge = mark.value is None
    axes.plot(
        [mark.length],
        [0.975 if mark.value is None else mark.value],
        transform=axes.get_xaxis_transform() if on_edge else axes.transData,
        marker=look.marker,
        markersize=MARK_SIZE,
        markerfacecolor=look.hue.light if mark.measured else PAPER.light,
        markeredgecolor=look.hue.light,
        markeredgewidth=0.6 if mark.measured else 1.5,
        linestyle="none",
        gid=gid,
        clip_on=False,
        zorder=4 if mark.measured else 3.5,
    )
    return True


def _legend(axes: Axes, lines: Sequence[Line]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=line.look.hue.light, marker=line.look.marker, markersize=MARK_SIZE, linestyle=line.look.dash
        )
        for line in lines
    ]
    labels = [shortened(line.label) for line in lines]
    if any(not mark.measured for line in lines for mark in line.marks):
        handles.append(
            Line2D(
                [], [], color=FAINT.light, marker="o", markerfacecolor=PAPER.light, markersize=MARK_SIZE, linestyle=":"
            )
        )
        labels.append("not measured")
    _outside_legend(axes, handles, labels)


def _outside_legend(axes: Axes, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    widest = max(len(label) for label in labels)
    columns = max(1, LEGEND_SIGNS // (widest + LEGEND_HANDLE_SIGNS))
    axes.figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels)))


def shortened(label: str, most: int = 36) -> str:
    """A label that fits a figure; matplotlib would hide one that begins with an underscore."""
    plain = " ".join(label.split()).lstrip("_")
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


@dataclass(frozen=True, slots=True)
class Lane:
    """Who leads over length, for one pair in one phase.

    Attributes:
        phase: Written beside the lane.
        pair: Heads its lanes, where there are several pairs to tell apart.
        leads: Length in tokens, label of who leads there (None: undecided), and what that point says on hover.
        crossings: Where the lead changes.
    """

    phase: str
    pair: str
    leads: tuple[tuple[int, str | None, str], ...]
    crossings: tuple[Crossing, ...]


def draw_lanes(lanes: Sequence[Lane], *, name: str, looks: dict[str, Look], names: dict[str, str]) -> str:
    """Draws who leads at which length: one lane a pair and phase, crossovers marked with their intervals.

    Args:
        lanes: From top to bottom.
        name: Of the figure.
        looks: Look by label.
        names: What a label is called in the legend.

    Returns:
        An SVG element.
    """
    titles: dict[str, str] = {}
    rows, headings, depth = _rows(lanes)
    with canvas(height_in=1.15 + 0.42 * depth, width_in=WIDE_IN) as axes:
        set_length_axis(axes, [length for lane in lanes for length, _, _ in lane.leads])
        axes.set_ylim(depth - 0.4, -0.6)
        axes.set_yticks(rows, [lane.phase for lane in lanes], color=INK.light)
        for place, pair in headings:
            axes.text(0, place, shortened(pair), transform=axes.get_yaxis_transform(), va="center", fontweight="bold")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=True, axis="x")
        axes.set_axisbelow(True)
        for number, (row, lane) in enumerate(zip(rows, lanes, strict=True)):
            titles |= _draw_lane(axes, lane, row, looks=looks, prefix=f"l{number}")
        shown = dict.fromkeys(leader for lane in lanes for _, leader, _ in lane.leads if leader)
        _lane_legend(axes, [(names[label], looks[label]) for label in shown])
        return to_svg(axes, name=name, titles=titles)


def _rows(lanes: Sequence[Lane]) -> tuple[list[float], list[tuple[float, str]], float]:
    """Height of each lane, headings where the pair changes, and the height of all."""
    rows: list[float] = []
    headings: list[tuple[float, str]] = []
    place = 0.0
    for before, lane in zip([None, *lanes], lanes, strict=False):
        if lane.pair and (before is None or before.pair != lane.pair):
            headings.append((place, lane.pair))
            place += 0.8
        rows.append(place)
        place += 1
    return rows, headings, place


def _draw_lane(axes: Axes, lane: Lane, row: float, *, looks: dict[str, Look], prefix: str) -> dict[str, str]:
    titles = {}
    axes.plot([lead[0] for lead in lane.leads], [row] * len(lane.leads), color=GRID.light, linewidth=9, zorder=1)
    for (start, before, _), (stop, after, _) in zip(lane.leads, lane.leads[1:], strict=False):
        if before is not None and before == after:
            axes.plot([start, stop], [row, row], color=looks[before].hue.light, linewidth=9, alpha=0.35, zorder=2)
    for index, (length, leader, text) in enumerate(lane.leads):
        gid = f"{prefix}-{index}"
        titles[gid] = text
        look = looks[leader] if leader else None
        axes.plot(
            [length],
            [row],
            marker=look.marker if look else "o",
            markersize=7,
            markerfacecolor=look.hue.light if look else PAPER.light,
            markeredgecolor=look.hue.light if look else FAINT.light,
            linestyle="none",
            gid=gid,
            zorder=3,
            clip_on=False,
        )
    for crossing in lane.crossings:
        _draw_flip(axes, crossing, row)
    return titles


def _draw_flip(axes: Axes, crossing: Crossing, row: float) -> None:
    if crossing.low is not None and crossing.high is not None:
        axes.plot([crossing.low, crossing.high], [row, row], color=INK.light, linewidth=2.4, zorder=4)
    axes.plot([crossing.length], [row], marker="|", markersize=18, markeredgewidth=2.0, color=INK.light, zorder=4)
    axes.annotate(
        format_length(round(crossing.length)),
        (crossing.length, row),
        xytext=(0, 10),
        textcoords="offset points",
        ha="center",
        fontweight="bold",
    )


def _lane_legend(axes: Axes, leaders: Sequence[tuple[str, Look]]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=look.hue.light, marker=look.marker, linestyle="none") for _, look in leaders]
    labels = [f"{shortened(name)} faster" for name, _ in leaders]
    handles.append(Line2D([], [], color=FAINT.light, marker="o", markerfacecolor=PAPER.light, linestyle="none"))
    labels.append("undecided")
    _outside_legend(axes, handles, labels)
