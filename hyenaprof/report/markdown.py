"""A report as Markdown that GitHub renders: tables as pipes, figures as files beside it."""

from __future__ import annotations

import re

from hyenaprof.model import Cell, Figure, Section, Table

_SIGNS = re.compile(r"([\\`*_\[\]|~$])")


def escape(text: str) -> str:
    """Text that Markdown and the HTML in it take literally, on one line."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SIGNS.sub(r"\\\1", plain)


def document(title: str, lead: str, sections: tuple[Section, ...]) -> str:
    """The whole report; figures are linked as `figures/NAME.svg`."""
    parts = [f"# {escape(title)}", *([escape(lead)] if lead else []), *(_section(section) for section in sections)]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    parts = [f"## {escape(section.title)}"]
    prose = [escape(paragraph) for paragraph in section.paragraphs]
    parts += [f"- **{line}**" for line in prose] if section.anchor == "answer" else prose
    if section.anchor == "answer":
        parts = [parts[0], "\n".join(parts[1:])]
    parts += [_figure(figure) for figure in section.figures]
    parts += [table(each) for each in section.tables]
    parts += [_listing(listing) for listing in section.listings]
    return "\n\n".join(parts)


def _figure(figure: Figure) -> str:
    alt = escape(figure.alt)
    data = f"\n\n<details><summary>Data</summary>\n\n{table(figure.data)}\n\n</details>" if figure.data else ""
    return f"![{alt}](figures/{figure.name}.svg)\n\n*{escape(figure.caption)}*{data}"


def table(made: Table) -> str:
    """A pipe table; strips of samples are left out, being drawings."""
    drawn = {i for row in made.rows for i, cell in enumerate(row) if isinstance(cell, Cell) and cell.strip}
    kept = [index for index in range(len(made.header)) if index not in drawn]
    lines = [
        _line([made.header[index] for index in kept]),
        "|" + "|".join([" --- "] * len(kept)) + "|",
        *(_line([_text(row[index]) for index in kept]) for row in made.rows),
    ]
    caption = f"\n\n{escape(made.caption)}" if made.caption else ""
    return "\n".join(lines) + caption


def _text(cell: str | Cell) -> str:
    return cell.text if isinstance(cell, Cell) else cell


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(escape(cell) for cell in cells) + " |"


def _listing(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"
