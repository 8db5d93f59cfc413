"""A gate for other programs: annotations, JUnit XML, JSON, github-action-benchmark, CSV for change-point tools."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Literal
from xml.etree import ElementTree as ET

from pydantic import Field

import hyenaprof
from hyenaprof.analysis.gate import Gate, Verdict
from hyenaprof.analysis.looks import Ruling
from hyenaprof.model import OnDisk, Point
from hyenaprof.records.baseline import Baseline
from hyenaprof.records.tolerances import Metric
from hyenaprof.report.verdicts import QUANTITY, headline, verdict_line

SCHEMA_VERSION = 1
MOST_ANNOTATIONS = 10
"""GitHub shows ten of each level and step."""
_UNITS: dict[Metric, str] = {"latency": "s", "peak_memory": "bytes", "energy": "J"}


def workflow_commands(gate: Gate) -> tuple[str, ...]:
    """Annotations of a GitHub workflow: an `::error` for what fails the gate, a `::warning` for what qualifies it.

    Only ten of a level are shown by GitHub, so the tenth error counts those left out.
    """
    errors = [("regression", verdict_line(verdict)) for verdict in gate.verdicts if verdict.is_red]
    errors += [("crossover", shift.text) for shift in gate.shifts if shift.is_red]
    warnings = [("hyenaprof gate", warning) for warning in gate.warnings]
    open_ = [verdict for verdict in gate.verdicts if verdict.ruling is Ruling.INCONCLUSIVE]
    if open_:
        warnings.insert(0, ("inconclusive", f"{len(open_)} inconclusive, first: {verdict_line(open_[0])}"))
    return (*_commands("error", errors), *_commands("warning", warnings))


def _commands(level: str, said: list[tuple[str, str]]) -> Iterator[str]:
    shown = said if len(said) <= MOST_ANNOTATIONS else said[: MOST_ANNOTATIONS - 1]
    yield from (f"::{level} title={_property(title)}::{_data(text)}" for title, text in shown)
    if len(shown) < len(said):
        yield f"::{level} title=more::{len(said) - len(shown)} more"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def junit_xml(gate: Gate, *, name: str = "hyenaprof gate") -> str:
    """The gate as a JUnit test suite: a case a verdict, red a failure, missing an error, the undecided skipped."""
    suite = ET.Element("testsuite", name=_xml(name), tests=str(len(gate.verdicts) + len(gate.shifts)))
    counts = dict.fromkeys(("failures", "errors", "skipped"), 0)
    for verdict in gate.verdicts:
        case = _case(suite, str(verdict.point), QUANTITY[verdict.metric], verdict_line(verdict))
        if verdict.is_red:
            kind = "error" if verdict.ruling is Ruling.MISSING else "failure"
            counts[f"{kind}s"] += 1
            ET.SubElement(case, kind, message=_xml(verdict_line(verdict)), type=str(verdict.ruling))
        elif verdict.ruling in (Ruling.INCONCLUSIVE, Ruling.NOT_JUDGED):
            counts["skipped"] += 1
            ET.SubElement(case, "skipped", message=_xml(f"{verdict.ruling}: {verdict_line(verdict)}"))
    for shift in gate.shifts:
        case = _case(
            suite,
            f"{shift.challenger.label} over {shift.incumbent.label} {shift.challenger.phase}",
            "crossover",
            shift.text,
        )
        if shift.is_red:
            counts["failures"] += 1
            ET.SubElement(case, "failure", message=_xml(shift.text), type=str(shift.ruling))
    for kind, count in counts.items():
        suite.set(kind, str(count))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(suite: ET.Element, name: str, kind: str, said: str) -> ET.Element:
    case = ET.SubElement(suite, "testcase", classname=_xml(f"hyenaprof.{kind.replace(' ', '_')}"), name=_xml(name))
    ET.SubElement(case, "system-out").text = _xml(said)
    return case


_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold at all; ElementTree escapes the rest."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


class VerdictEntry(OnDisk):
    """One verdict; see hyenaprof.analysis.gate.Verdict."""

    point: Point
    point_id: str
    metric: Metric
    unit: str | None
    """Of base and candidate."""
    verdict: Ruling
    red: bool
    ratio: float | None
    low: float | None
    high: float | None
    rounds: int
    detectable: float | None
    tolerance: float | None
    base: float | None
    candidate: float | None
    reason: str | None
    expected: str | None


class ShiftEntry(OnDisk):
    """One crossover that moved or stayed; lengths in tokens."""

    challenger: str
    incumbent: str
    phase: str
    metric: str
    verdict: Ruling
    base: float | None
    candidate: float | None
    text: str
    red: bool
    expected: str | None


class GateDocument(OnDisk):
    """A gate as `--json` writes it."""

    kind: Literal["hyenaprof gate"] = "hyenaprof gate"
    schema_version: int = SCHEMA_VERSION
    hyenaprof: str
    exit_code: int = Field(ge=0)
    headline: str
    red: bool
    inconclusive_share: float
    verdicts: tuple[VerdictEntry, ...]
    """The worst first."""
    shifts: tuple[ShiftEntry, ...]
    warnings: tuple[str, ...]


def gate_document(gate: Gate, *, exit_code: int) -> GateDocument:
    """The gate as data; its fields are those of the schema that ships beside this module, gate.schema.json."""
    return GateDocument(
        hyenaprof=hyenaprof.__version__,
        exit_code=exit_code,
        headline=headline(gate),
        red=gate.is_red,
        inconclusive_share=gate.inconclusive_share,
        verdicts=tuple(_entry(verdict) for verdict in gate.verdicts),
        shifts=tuple(
            ShiftEntry(
                challenger=shift.challenger.label,
                incumbent=shift.incumbent.label,
                phase=shift.challenger.phase,
                metric=shift.metric,
                verdict=shift.ruling,
                base=shift.base,
                candidate=shift.candidate,
                text=shift.text,
                red=shift.is_red,
                expected=shift.expected,
            )
            for shift in gate.shifts
        ),
        warnings=gate.warnings,
    )


def _entry(verdict: Verdict) -> VerdictEntry:
    return VerdictEntry(
        point=verdict.point,
        point_id=verdict.point.id,
        metric=verdict.metric,
        unit=_UNITS.get(verdict.metric),
        verdict=verdict.ruling,
        red=verdict.is_red,
        ratio=verdict.ratio,
        low=verdict.low,
        high=verdict.high,
        rounds=verdict.rounds,
        detectable=verdict.detectable,
        tolerance=verdict.tolerance,
        base=verdict.base,
        candidate=verdict.candidate,
        reason=verdict.reason,
        expected=verdict.expected,
    )


def gate_json(gate: Gate, *, exit_code: int) -> str:
    """The gate as JSON text."""
    return gate_document(gate, exit_code=exit_code).model_dump_json(indent=1) + "\n"


def benchmark_json(gate: Gate) -> str:
    """The candidate's numbers for github-action-benchmark, tool `customSmallerIsBetter`."""
    return (
        json.dumps(
            [
                {
                    "name": f"{verdict.point} {QUANTITY[verdict.metric]}",
                    "unit": _UNITS[verdict.metric],
                    "value": verdict.candidate,
                    "extra": verdict_line(verdict),
                }
                for verdict in sorted(gate.verdicts, key=lambda verdict: (str(verdict.point), verdict.metric))
                if verdict.candidate is not None and verdict.metric in _UNITS
            ],
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )


def history_csv(baseline: Baseline) -> str:
    """A baseline for change-point tools: a row a session, a column a point, medians in seconds.

    Column names hold no comma, quote or blank; a session without the point has an empty cell.
    """
    names = list(baseline.points)
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["time", "hyenaprof", *(_column(baseline.points[name]) for name in names)])
    for session in baseline.sessions:
        medians = (session.median_s(name) for name in names)
        rows.writerow(
            [session.name, session.hyenaprof, *("" if value is None else f"{value:.6g}" for value in medians)]
        )
    return out.getvalue()


def _column(point: Point) -> str:
    return re.sub(r"[\s,;\"']+", "/", f"{point} {point.id}")
