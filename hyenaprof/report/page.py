"""A report as one HTML file: nothing is fetched, everything from a journal is escaped, and a policy says so."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hyenaprof.model import Cell, Figure, Section
from hyenaprof.report.points import STRIP_LEVELS, STRIP_SAMPLES
from hyenaprof.report.style import FAINT, GRID, HUES, INK, PAPER
from hyenaprof.units import UNKNOWN

TEMPLATES = "templates"
LONG_TEXT = 30
"""Characters from which a cell is wrapped."""
FOLDED_ROWS = 24
"""Rows above which a plain table is folded away."""


def document(title: str, lead: str, facts: tuple[str, ...], sections: tuple[Section, ...]) -> str:
    """The whole report.

    Args:
        title: Of the run.
        lead: What it asks.
        facts: Shown under the title: device, dtype, date.
        sections: In order.
    """
    script = _asset("report.js")
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=title,
            lead=lead,
            facts=facts,
            sections=sections,
            style=Markup(_palette() + _asset("report.css")),  # noqa: S704 -- our own file, no journal in it
            script=Markup(script),  # noqa: S704 -- our own file, no journal in it
            policy=_policy(script),
            folded=FOLDED_ROWS,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hyenaprof.report", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"drawing": drawing, "strip": strip, "cell": as_cell, "looks": looks}
    return environment


def _asset(name: str) -> str:
    return (resources.files("hyenaprof.report") / TEMPLATES / name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"


def _palette() -> str:
    hues = (*HUES, INK, FAINT, GRID, PAPER)
    light = "".join(f"--{hue.name}:{hue.light};" for hue in hues)
    dark = "".join(f"--{hue.name}:{hue.dark};" for hue in hues)
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def drawing(figure: Figure) -> Markup:
    """The figure's SVG, which `report.svg` made and escaped, with its words for those who cannot see it."""
    opening = Markup('<svg role="img" aria-label="{}" ').format(figure.alt)
    return opening + Markup(figure.svg.removeprefix("<svg "))  # noqa: S704 -- matplotlib escapes the text in it


def strip(levels: tuple[int, ...]) -> Markup:
    """Samples as ticks along a line from the row's fastest to its slowest, oldest above."""
    if not levels:
        return Markup("")
    step = STRIP_LEVELS / STRIP_SAMPLES
    dots = "".join(f"M{index * step:g} {STRIP_LEVELS - 1 - level}h2" for index, level in enumerate(levels))
    return Markup(
        '<svg class="strip" viewBox="-1 -4 66 72" preserveAspectRatio="none" aria-hidden="true"><path d="{}"/></svg>'
    ).format(dots)


def looks(cell: Cell) -> Markup:
    """The cell's class: right-aligned if it is a number, wrapped if it is long, tinted by its tone."""
    number = cell.sort is not None or cell.text == UNKNOWN
    names = [name for name, applies in (("n", number), ("long", len(cell.text) > LONG_TEXT)) if applies]
    classes = " ".join((*names, *([cell.tone] if cell.tone else [])))
    return Markup(' class="{}"').format(classes) if classes else Markup("")


def as_cell(cell: str | Cell) -> Cell:
    """A cell, whatever was given."""
    return cell if isinstance(cell, Cell) else Cell(cell)
