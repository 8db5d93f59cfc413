"""The house style of every figure: one palette, one set of markers, one way to write an axis.

matplotlib and seaborn are imported inside functions: they take about a second, and the terminal's summary needs neither.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hyenaprof.model import Curve
from hyenaprof.units import format_length

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform


@dataclass(frozen=True, slots=True)
class Hue:
    """One colour, for light and for dark ground; both stand off their ground by at least 3 to 1."""

    name: str
    light: str
    dark: str


BLUE = Hue("blue", "#0b62b0", "#62aef5")
ORANGE = Hue("orange", "#cc4e00", "#ff9152")
GREEN = Hue("green", "#00795c", "#3fcf9f")
PURPLE = Hue("purple", "#9c3587", "#d46bd1")
AMBER = Hue("amber", "#d08000", "#ddcf28")
SKY = Hue("sky", "#2a8fb5", "#9fd6ea")
BROWN = Hue("brown", "#6b3d1e", "#b69b70")
GREY = Hue("grey", "#646975", "#99a8ae")
HUES: tuple[Hue, ...] = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BROWN, GREY)
"""After Okabe and Ito's colour-blind safe set, moved apart until every two differ by at least 11 in CIELAB for each kind of
colour blindness (Machado et al. 2009) on either ground; markers tell the same a second time."""

INK = Hue("ink", "#1c2128", "#e6e8eb")
FAINT = Hue("faint", "#59636e", "#a3adb8")
GRID = Hue("grid", "#dfe3e8", "#30363f")
PAPER = Hue("paper", "#ffffff", "#14171c")

OPERATOR_HUES: dict[str, Hue] = {"hyena": BLUE, "flash": ORANGE, "attention": GREEN}
MARKERS: tuple[str, ...] = ("o", "s", "^", "D", "v", "P", "X", "*")
Dash = tuple[float, tuple[float, ...]]
"""Offset, then lengths on and off; nothing on and off is a solid line."""
DASHES: tuple[Dash, ...] = ((0, ()), (0, (5, 2)), (0, (1, 1)), (0, (5, 1, 1, 1)))

WIDTH_IN, WIDE_IN, RIGHT_IN = 4.7, 5.8, 0.16
SIGN_IN = 0.084
"""Width of an average character at the ticks' size."""
LEGEND_SIGNS = 56
"""Characters that fit below a figure in one row."""
HANDLE_SIGNS = 7
"""Characters that a legend's handle takes the room of."""
RC = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a label from a journal is text, whatever signs it holds
    "font.size": 11.0,
    "axes.labelsize": 11.0,
    "axes.titlesize": 12.0,
    "axes.titleweight": "bold",
    "axes.linewidth": 0.8,
    "axes.edgecolor": FAINT.light,
    "axes.labelcolor": INK.light,
    "text.color": INK.light,
    "xtick.color": FAINT.light,
    "ytick.color": FAINT.light,
    "grid.color": GRID.light,
    "grid.linewidth": 0.8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 10.5,
}


@dataclass(frozen=True, slots=True)
class Look:
    """How one operator is drawn, everywhere."""

    hue: Hue
    marker: str
    dash: Dash


def looks(curves: Iterable[Curve]) -> dict[str, Look]:
    """Gives each curve's label its look: a colour an operator, a marker and a dash an implementation.

    The operators of the palette's table keep their colour in every report; others take what is left, in the order of
    their names.
    """
    labels = sorted({(curve.operator, curve.label) for curve in curves})
    operators = list(dict.fromkeys(operator for operator, _ in labels))
    spare = [hue for hue in HUES if hue not in OPERATOR_HUES.values()]
    strangers = [operator for operator in operators if operator not in OPERATOR_HUES]
    hues = OPERATOR_HUES | {name: spare[index % len(spare)] for index, name in enumerate(strangers)}
    ordered = [*OPERATOR_HUES, *strangers]
    return {
        label: _look(hues[operator], ordered.index(operator), _rank(label, operator, labels))
        for operator, label in labels
    }


def _rank(label: str, operator: str, labels: Sequence[tuple[str, str]]) -> int:
    return [other for name, other in labels if name == operator].index(label)


def _look(hue: Hue, place: int, rank: int) -> Look:
    return Look(hue, MARKERS[(place + 3 * rank) % len(MARKERS)], DASHES[rank % len(DASHES)])


@dataclass(frozen=True, slots=True)
class Frame:
    """Room around and inside the axes, laid out by counting signs: measuring text takes matplotlib half of its time.

    Attributes:
        plot_in: Height of the axes in inches.
        width_in: Width of the whole figure.
        tick_signs: Longest label of a tick on the y axis.
        legend_rows: Rows below the axes.
        y_label: Whether the y axis has a label.
        title: Whether a title stands above the axes.
    """

    plot_in: float = 2.6
    width_in: float = WIDTH_IN
    tick_signs: int = 8
    legend_rows: int = 1
    y_label: bool = True
    title: bool = True

    @property
    def left_in(self) -> float:
        """From the figure's left edge to the axes."""
        return 0.16 + SIGN_IN * self.tick_signs + (0.28 if self.y_label else 0.0)

    @property
    def bottom_in(self) -> float:
        """From the figure's lower edge to the axes: ticks, label, legend."""
        return 0.58 + 0.21 * self.legend_rows

    @property
    def height_in(self) -> float:
        """Of the whole figure."""
        return self.bottom_in + self.plot_in + (0.36 if self.title else 0.08)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Of the axes, as shares of the figure: left, bottom, width, height."""
        plot_width_in = self.width_in - self.left_in - RIGHT_IN
        return (
            self.left_in / self.width_in,
            self.bottom_in / self.height_in,
            plot_width_in / self.width_in,
            self.plot_in / self.height_in,
        )


@contextmanager
def canvas(frame: Frame) -> Iterator[Axes]:
    """Gives empty axes in the house style."""
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {**sns.axes_style("ticks"), **RC}  # the stubs want each of 300 keys as a literal
    with mpl.rc_context(settings):
        figure = Figure(figsize=(frame.width_in, frame.height_in))
        FigureCanvasSVG(figure)
        axes = figure.add_axes(frame.bounds)
        axes.yaxis.set_label_coords(0.12, 0.5, transform=_from_left_edge(axes))
        sns.despine(ax=axes)
        yield axes


def _from_left_edge(axes: Axes) -> Transform:
    """Across in inches from the figure's left edge, up as shares of the axes."""
    from matplotlib.transforms import blended_transform_factory

    return blended_transform_factory(axes.figure.dpi_scale_trans, axes.transAxes)


def legend_columns(labels: Sequence[str]) -> int:
    """Columns in which a legend's labels fit below a figure."""
    widest = max((len(label) for label in labels), default=1)
    return max(1, min(len(labels), LEGEND_SIGNS // (widest + HANDLE_SIGNS)))


def legend_rows(labels: Sequence[str]) -> int:
    """Rows that a legend takes."""
    return -(-len(labels) // legend_columns(labels))


def add_legend(axes: Axes, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Puts a legend on the figure's lower edge."""
    axes.figure.legend(
        handles, labels, loc="lower center", bbox_to_anchor=(0.5, 0.0), ncols=legend_columns(labels), borderaxespad=0.1
    )


def shortened(label: str, most: int = 36) -> str:
    """A label that fits a figure; matplotlib would hide one that begins with an underscore."""
    plain = " ".join(label.split()).lstrip("_")
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def length_ticks(low: float, high: float) -> tuple[int, ...]:
    """Lengths in tokens at which a logarithmic axis is marked: 1k 4k 16k, closer where the range is short."""
    for step in (2, 1):
        ticks = tuple(
            2**power
            for power in range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)
            if power % step == 0 and low <= 2**power <= high
        )
        if len(ticks) >= 3:
            return ticks
    return ticks or (round(low),)


def set_length_axis(axes: Axes, lengths: Sequence[float]) -> None:
    """Makes the x axis a logarithmic one of sequence length in tokens, every length ticked and some of them named."""
    from matplotlib.ticker import NullFormatter

    low, high = min(lengths), max(lengths)
    axes.set_xscale("log", base=2)
    pad = 1.12 if low < high else 2.0
    axes.set_xlim(low / pad, high * pad)
    ticks = length_ticks(low, high)
    axes.set_xticks(ticks, [format_length(tick) for tick in ticks])
    axes.set_xticks(sorted({float(length) for length in lengths} - set(ticks)), minor=True)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Sequence length L (tokens)")
