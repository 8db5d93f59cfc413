"""What a person sees while a sweep runs: a live line per operator, or plain lines where stdout is no terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hyenaprof.model import Outcome, Visit
from hyenaprof.pipe import Progress
from hyenaprof.running.plan import Iteration
from hyenaprof.units import format_duration, format_latency


class Display(Protocol):
    """Told of everything as it happens."""

    def note(self, text: str) -> None:
        """Something worth a line."""

    def warn(self, text: str) -> None:
        """Something that qualifies the results."""

    def clock(self, left_s: float, needed_s: float | None) -> None:
        """Seconds left of the budget, and seconds predicted for what is planned."""

    def begin_visit(self, iteration: Iteration, round_: int, predicted_s: float) -> None:
        """A visit begins; it is predicted to take so many seconds."""

    def progress(self, progress: Progress) -> None:
        """What the worker is at."""

    def end_visit(self, iteration: Iteration, visits: Sequence[Visit], wall_s: float) -> None:
        """A visit ended well."""

    def failed(self, iteration: Iteration, outcome: Outcome, reason: str) -> None:
        """A visit ended otherwise."""

    def close(self) -> None:
        """Nothing more comes."""


@dataclass(frozen=True, slots=True)
class _Line:
    visits: int = 0
    now: str = "waiting"
    last: str = ""


def medians_of(visits: Sequence[Visit]) -> str:
    """`forward 12.3 ms, training 40.1 ms` of one visit's readings."""
    return ", ".join(f"{v.point.phase} {format_latency(median(v.clean_s))}" for v in visits if v.clean_s)


class PlainDisplay:
    """One line a visit, for logs and pipes.

    Args:
        console: Where lines go.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun_s = time.monotonic()
        self._budget = ""
        self._predicted_s = 0.0

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(f"[{time.monotonic() - self._begun_s:6.1f} s] {text}", style), soft_wrap=True)

    def note(self, text: str) -> None:
        """Prints the line."""
        self._say(text)

    def warn(self, text: str) -> None:
        """Prints the line, marked as a warning."""
        self._say(f"warning: {text}", "yellow")

    def clock(self, left_s: float, needed_s: float | None) -> None:
        """Keeps the time left for the next visit's line."""
        needed = f", planned {format_duration(needed_s)}" if needed_s is not None else ""
        self._budget = f"{format_duration(max(0.0, left_s))} left{needed}"

    def begin_visit(self, iteration: Iteration, round_: int, predicted_s: float) -> None:
        """Says what will take long before it does."""
        self._predicted_s = predicted_s
        if predicted_s > 10:
            self._say(f"round {round_ + 1}  {iteration}: about {format_duration(predicted_s)}")

    def progress(self, progress: Progress) -> None:
        """Says nothing: a log needs no samples."""

    def end_visit(self, iteration: Iteration, visits: Sequence[Visit], wall_s: float) -> None:
        """Prints the visit's medians, and its duration against the prediction."""
        spent = f"{format_duration(wall_s)}, predicted {format_duration(self._predicted_s)}"
        self._say(
            f"round {visits[0].round + 1}  {visits[0].point.label} L={iteration.length}: {medians_of(visits)}"
            f"  ({spent}; {self._budget})"
        )

    def failed(self, iteration: Iteration, outcome: Outcome, reason: str) -> None:
        """Prints outcome and reason."""
        self._say(f"{iteration}: {outcome}: {reason}", "red")

    def close(self) -> None:
        """Nothing to end."""


class LiveDisplay:
    """A table that is redrawn in place: one line an operator.

    Args:
        console: A terminal.
    """

    def __init__(self, console: Console) -> None:
        self._lines: dict[str, _Line] = {}
        self._clock = ""
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._draw)
        self._live.start()

    def _draw(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2), show_header=True, header_style="bold")
        for title in ("operator", "visits", "now", "last median"):
            table.add_column(title, no_wrap=True, overflow="ellipsis", justify="right" if title == "visits" else "left")
        for label, line in self._lines.items():
            table.add_row(label, str(line.visits), line.now, line.last)
        return Group(table, Text(self._clock, "dim"))

    def _line(self, label: str) -> _Line:
        return self._lines.get(label, _Line())

    def note(self, text: str) -> None:
        """Prints a line above the table."""
        self._live.console.print(Text(text, "dim"))

    def warn(self, text: str) -> None:
        """Prints a warning above the table."""
        self._live.console.print(Text(f"warning: {text}", "yellow"))

    def clock(self, left_s: float, needed_s: float | None) -> None:
        """Shows the time left under the table."""
        needed = f", about {format_duration(needed_s)} of it planned" if needed_s is not None else ""
        self._clock = f"{format_duration(max(0.0, left_s))} of the budget left{needed}"

    def begin_visit(self, iteration: Iteration, round_: int, predicted_s: float) -> None:
        """Shows what is being measured."""
        phase = "+".join(point.phase for point in iteration.points)
        expected = f" ~{format_duration(predicted_s)}" if predicted_s > 3 else ""
        label = iteration.points[0].label
        now = f"{phase} L={iteration.length} round {round_ + 1}{expected}"
        self._lines[label] = replace(self._line(label), now=now)

    def progress(self, progress: Progress) -> None:
        """Shows nothing finer than the visit: the worker must not be disturbed."""

    def end_visit(self, iteration: Iteration, visits: Sequence[Visit], wall_s: float) -> None:  # noqa: ARG002 -- shown by the plain display
        """Counts the visit and shows its medians."""
        label = visits[0].point.label
        line = self._line(label)
        last = f"L={iteration.length} {medians_of(visits)}"
        self._lines[label] = replace(line, visits=line.visits + 1, now="waiting", last=last)

    def failed(self, iteration: Iteration, outcome: Outcome, reason: str) -> None:
        """Prints outcome and reason above the table."""
        self._live.console.print(Text(f"{iteration}: {outcome}: {reason}", "red"))
        label = iteration.points[0].label
        self._lines[label] = replace(self._line(label), now="waiting")

    def close(self) -> None:
        """Leaves the last state on the screen."""
        self._live.stop()


def display_for(console: Console) -> Display:
    """The live display on a terminal, plain lines elsewhere."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)
