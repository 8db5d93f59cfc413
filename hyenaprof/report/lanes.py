"""Draws who leads at which length: one lane a pair and phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hyenaprof.report.figures import Crossing
from hyenaprof.report.style import (
    FAINT,
    GRID,
    INK,
    PAPER,
    WIDE_IN,
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


def draw_lanes(
    lanes: Sequence[Lane], *, name: str, looks: dict[str, Look], names: dict[str, str], prints: Sequence[str] = ()
) -> Drawing:
    """Draws who leads at which length: one lane a pair and phase, crossovers marked with their intervals.

    Args:
        lanes: From top to bottom.
        name: Of the figure.
        looks: Look by label.
        names: What a label is called in the legend.
        prints: Formats wanted besides SVG.
    """
    titles: dict[str, tuple[str, ...]] = {}
    rows, headings, depth = _rows(lanes)
    leaders = list(dict.fromkeys(leader for lane in lanes for _, leader, _ in lane.leads if leader))
    labels = [*(f"{shortened(names[leader])} faster" for leader in leaders), "undecided"]
    frame = Frame(
        plot_in=0.42 * depth + 0.1,
        width_in=WIDE_IN,
        tick_signs=max(len(lane.phase) for lane in lanes),
        legend_rows=legend_rows(labels),
        y_label=False,
        title=False,
    )
    with canvas(frame) as axes:
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
        _legend(axes, [looks[leader] for leader in leaders], labels)
        return finish(axes, name=name, titles=titles, prints=prints)


def _rows(lanes: Sequence[Lane]) -> tuple[list[float], list[tuple[float, str]], float]:
    """Height of each lane, headings where the pair changes, and the height of all."""
    rows: list[float] = []
    headings: list[tuple[float, str]] = []
    place = 0.0
    for before, lane in zip([None, *lanes], lanes, strict=False):
        if lane.pair and (before is None or before.pair != lane.pair):
            headings.append((place - 0.05, lane.pair))
            place += 0.95
        rows.append(place)
        place += 1
    return rows, headings, place


def _draw_lane(
    axes: Axes, lane: Lane, row: float, *, looks: dict[str, Look], prefix: str
) -> dict[str, tuple[str, ...]]:
    """Draws the lane, its leaders and its crossovers; gives what each leader's marks say, by gid."""
    axes.plot([lead[0] for lead in lane.leads], [row] * len(lane.leads), color=GRID.light, linewidth=9, zorder=1)
    for (start, before, _), (stop, after, _) in pairwise(lane.leads):
        if before is not None and before == after:
            axes.plot([start, stop], [row, row], color=looks[before].hue.light, linewidth=9, alpha=0.35, zorder=2)
    titles = {}
    for place, leader in enumerate(dict.fromkeys(lead[1] for lead in lane.leads)):
        held = [(length, text) for length, who, text in lane.leads if who == leader]
        titles[f"{prefix}-{place}"] = tuple(text for _, text in held)
        _dots(
            axes, [length for length, _ in held], row, look=looks[leader] if leader else None, gid=f"{prefix}-{place}"
        )
    for crossing in lane.crossings:
        _draw_flip(axes, crossing, row)
    return titles


def _dots(axes: Axes, lengths: Sequence[int], row: float, *, look: Look | None, gid: str) -> None:
    axes.plot(
        lengths,
        [row] * len(lengths),
        marker=look.marker if look else "o",
        markersize=7,
        markerfacecolor=look.hue.light if look else PAPER.light,
        markeredgecolor=look.hue.light if look else FAINT.light,
        linestyle="none",
        gid=gid,
        zorder=3,
        clip_on=False,
    )


def _draw_flip(axes: Axes, crossing: Crossing, row: float) -> None:
    if crossing.low is not None and crossing.high is not None:
        axes.plot([crossing.low, crossing.high], [row, row], color=INK.light, linewidth=2.4, zorder=4)
    axes.plot([crossing.length], [row], marker="|", markersize=18, markeredgewidth=2.0, color=INK.light, zorder=4)
    axes.annotate(
        format_length(round(crossing.length)),
        (crossing.length, row),
        xytext=(0, 9),
        textcoords="offset points",
        ha="center",
        fontweight="bold",
    )


def _legend(axes: Axes, leaders: Sequence[Look], labels: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=look.hue.light, marker=look.marker, linestyle="none") for look in leaders]
    handles.append(Line2D([], [], color=FAINT.light, marker="o", markerfacecolor=PAPER.light, linestyle="none"))
    add_legend(axes, handles, labels)
