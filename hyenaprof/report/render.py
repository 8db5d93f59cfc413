"""Writes a run's report, from its journal alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from hyenaprof.errors import JournalError, ScenarioError, did_you_mean
from hyenaprof.model import Section
from hyenaprof.records.store import Run
from hyenaprof.report import markdown, page
from hyenaprof.report.findings import Findings, find
from hyenaprof.report.sections import sections
from hyenaprof.report.svg import PRINTS, standalone

Format = Literal["md", "html"]
FORMATS: tuple[Format, ...] = ("md", "html")
FIGURES = "figures"


def render(
    run: Run, *, formats: Sequence[Format] = FORMATS, into: Path | None = None, prints: Sequence[str] = ()
) -> list[Path]:
    """Writes `report.md` (with `figures/*.svg`) and `report.html`.

    Args:
        run: A run as read from its folder.
        formats: Which of the two.
        into: A folder; the run's own unless given.
        prints: Formats for papers, `pdf` or `png`, in which figures are written to `figures/` as well.

    Returns:
        The reports' paths, in the order of `formats`.

    Raises:
        JournalError: The run has no folder and none is given.
        ScenarioError: A format of figures that is not known.
    """
    folder = into or run.folder
    if folder is None:
        raise JournalError("this run has no folder to write a report to", hint="name a folder")
    _check(prints)
    findings = find(run, prints=tuple(prints))
    made = sections(findings)
    _write_prints(folder, made)
    writers = {"md": _write_markdown, "html": _write_page}
    return [writers[name](folder, findings, made) for name in formats]


def _check(prints: Sequence[str]) -> None:
    for suffix in prints:
        if suffix not in PRINTS:
            raise ScenarioError(f"no figure format {suffix!r}", hint=did_you_mean(suffix, PRINTS))


def _write_prints(folder: Path, made: tuple[Section, ...]) -> None:
    for figure in (figure for section in made for figure in section.figures):
        for suffix, content in figure.prints:
            (folder / FIGURES).mkdir(parents=True, exist_ok=True)
            (folder / FIGURES / f"{figure.name}.{suffix}").write_bytes(content)


def _write_markdown(folder: Path, findings: Findings, made: tuple[Section, ...]) -> Path:
    figures = [figure for section in made for figure in section.figures]
    if figures:
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for figure in figures:
        text = standalone(figure.svg, alt=figure.alt)
        (folder / FIGURES / f"{figure.name}.svg").write_text(text, encoding="utf-8")
    path = folder / "report.md"
    lead = " ".join((findings.run.scenario.purpose, " · ".join(facts(findings)))).strip()
    path.write_text(markdown.document(findings.run.scenario.name, lead, made), encoding="utf-8")
    return path


def _write_page(folder: Path, findings: Findings, made: tuple[Section, ...]) -> Path:
    path = folder / "report.html"
    scenario = findings.run.scenario
    path.write_text(page.document(scenario.name, scenario.purpose, facts(findings), made), encoding="utf-8")
    return path


def facts(findings: Findings) -> tuple[str, ...]:
    """What stands under the title: devices, scopes, dtypes, shapes, day, and whether the run is finished."""
    settings = [panel.setting for panel in findings.panels]
    starts = [header.started_at for header in findings.run.headers]
    day = [datetime.fromtimestamp(min(starts), tz=UTC).strftime("%Y-%m-%d")] if starts else []
    told = (
        *dict.fromkeys(findings.machine(setting) for setting in settings),
        *dict.fromkeys(f"{setting.scope} scope" for setting in settings),
        *dict.fromkeys(str(setting.dtype) for setting in settings),
        *dict.fromkeys(setting.shape for setting in settings),
    )
    unfinished = [] if findings.run.finished else ["not finished"]
    return (*(told if len(told) <= 8 else (*told[:8], "more below")), *day, *unfinished)
