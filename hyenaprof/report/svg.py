"""matplotlib's SVG made fit for a page: deterministic, told apart by name, coloured by the page, values on hover."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from hyenaprof.report.style import FAINT, GRID, HUES, INK, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PROLOGUE = re.compile(r"\A.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_OPENING = re.compile(r"<svg\b[^>]*>", re.DOTALL)
_VIEW_BOX = re.compile(r'viewBox="([0-9. ]+)"')
_ID = re.compile(r'\sid="([^"]*)"')
_REFERENCE = re.compile(r'(?:xlink:href="#|url\(#)([^")]+)')
_MARKER = re.compile(r"<use [^>]*/>")
_STYLE = re.compile(r'style="([^"]*)"')
_COMMENT = re.compile(r"\s*<!--.*?-->", re.DOTALL)
_FONT = re.compile(r"font-family: [^;\"]+")
_FONT_STACK = "system-ui, sans-serif"
_VARIABLES: Mapping[str, str] = {
    hue.light: f"var(--{hue.name}, {hue.light})" for hue in (*HUES, INK, FAINT, GRID, PAPER)
}
_HEX = re.compile("|".join(_VARIABLES))


PRINTS: dict[str, dict[str, str | None]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
"""Formats for papers, with the metadata that would tell one rendering from the next."""
PRINT_DPI = 300


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure as an SVG element, and in the other formats that were asked for."""

    svg: str
    prints: tuple[tuple[str, bytes], ...] = ()


def finish(axes: Axes, *, name: str, titles: Mapping[str, Sequence[str]], prints: Sequence[str] = ()) -> Drawing:
    """Writes the axes' figure as SVG, and in each format of `prints`.

    Raises:
        ValueError: The axes stand in no figure.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("axes without a figure cannot be written")
    svg = to_svg(figure, name=name, titles=titles)
    return Drawing(svg, tuple((suffix, _print(figure, suffix)) for suffix in prints))


def _print(figure: Figure, suffix: str) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"pdf.fonttype": 42}):  # TrueType, which journals ask for
        figure.savefig(buffer, format=suffix, dpi=PRINT_DPI, facecolor=PAPER.light, metadata=PRINTS[suffix])
    return buffer.getvalue()


def to_svg(figure: Figure, *, name: str, titles: Mapping[str, Sequence[str]]) -> str:
    """Writes a figure as an SVG element whose text is text, the same bytes for the same figure.

    Args:
        figure: Drawn; the markers of an artist whose gid is named in `titles` get those texts on hover.
        name: Prefix of every id, so that many figures share one page.
        titles: What an artist's markers say under the pointer, in order, by gid.

    Returns:
        One `<svg>` element, no prologue, no metadata, its colours as CSS variables with the light ones to fall back on.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    silent = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata=silent)
    return _tidy(buffer.getvalue(), name=name, titles=titles)


def standalone(svg: str, *, alt: str) -> str:
    """Makes a file of an inline SVG: light colours on white, so that it can be read on any ground."""
    plain = re.sub(r"var\(--[a-z]+, (#[0-9a-f]{6})\)", r"\1", svg)
    opening = _OPENING.match(plain)
    body = plain[opening.end() :] if opening else plain
    box = _VIEW_BOX.search(plain)
    view = box[1] if box else "0 0 100 100"
    _, _, width, height = view.split()
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img"'
        f' viewBox="{view}" width="{width}pt" height="{height}pt">\n<title>{escape(alt)}</title>'
        f'\n<rect width="{width}" height="{height}" fill="{PAPER.light}"/>{body}'
    )


def _tidy(svg: str, *, name: str, titles: Mapping[str, Sequence[str]]) -> str:
    svg = _COMMENT.sub("", _METADATA.sub("", _PROLOGUE.sub("", svg)))
    box = _VIEW_BOX.search(svg)
    svg = _OPENING.sub(f'<svg viewBox="{box[1] if box else "0 0 100 100"}">', svg, count=1)
    used = set(_REFERENCE.findall(svg))
    for gid, texts in titles.items():
        svg = _entitled(svg, gid, texts)
    svg = _ID.sub(lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', lambda m: f"{m[1]}{name}-", svg)
    return _STYLE.sub(lambda m: f'style="{_restyle(m[1])}"', svg).strip()


def _entitled(svg: str, gid: str, texts: Sequence[str]) -> str:
    before, opening, after = svg.partition(f'<g id="{gid}">')
    said = iter(texts)
    marked = _MARKER.sub(lambda m: f"<g><title>{escape(next(said))}</title>{m[0]}</g>", after, count=len(texts))
    return before + opening + marked


def _restyle(style: str) -> str:
    coloured = _HEX.sub(lambda m: _VARIABLES[m[0]], style)
    return _FONT.sub(f"font-family: {_FONT_STACK}", coloured)
