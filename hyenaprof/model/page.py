"""What a report is made of: sections with prose, tables, figures and listings, before they are rendered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report: a title, prose, tables and figures, rendered to Markdown and HTML."""

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    anchor: str = ""
    listings: tuple[str, ...] = ()
    """Text shown as it is, such as a command or a scenario."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell that is more than its text."""

    text: str
    sort: float | None = None
    """What the column sorts by, where that is not the text; in base units."""
    tone: Literal["", "good", "bad", "warn", "faint"] = ""
    """How it is tinted; the text alone must say the same."""
    strip: tuple[int, ...] = ()
    """Samples in order, quantised to 0 to 63, drawn beside the text where the medium can draw."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    caption: str = ""
    interactive: bool = False
    """Whether a reader would want to sort and filter it."""
    filters: tuple[str, ...] = ()
    """Columns of few values, offered as filters in an interactive table."""


@dataclass(frozen=True, slots=True)
class Figure:
    """An inline SVG with the words that stand for it where it cannot be seen."""

    svg: str
    caption: str
    alt: str
    data: Table | None = field(default=None)
    name: str = ""
    """Names its file and its place in a page; unique in a report."""
    prints: tuple[tuple[str, bytes], ...] = ()
    """The same figure in other formats, by file suffix, where they were asked for."""
