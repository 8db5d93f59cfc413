"""Every point that was asked for, with its outcome: the table behind everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hyenaprof.analysis.metrics import METRICS
from hyenaprof.analysis.sentence import OUTCOME_WORDS
from hyenaprof.model import Cell, Outcome, Record, Section, Table
from hyenaprof.report.findings import Finding, Findings, Setting, setting_of
from hyenaprof.report.words import brief, finite, grouped, latency_interval
from hyenaprof.units import (
    UNKNOWN,
    format_count,
    format_latency,
    format_length,
    format_percent,
)

STRIP_SAMPLES = 32
STRIP_LEVELS = 64
COLUMNS = (
    "Operator",
    "Phase",
    "L",
    "Outcome",
    "Median [95 %]",
    "Visits",
    "Half-width",
    "Samples",
    "Peak memory",
    "Energy",
    "Notes",
    "Spread within",
    "Spread between",
    "Rate",
    "Work",
    "Work (paper)",
)
"""In order; a setting stands before them where there are several, and energy only where any was measured."""


def points(findings: Findings) -> Section:
    """One row a point: measured, failed or left out."""
    several = len(findings.places) > 1
    shown = tuple(name for name in COLUMNS if name != "Energy" or findings.has_energy)
    header = ("Setting", *shown) if several else shown
    places = {panel.setting: _place(findings, panel.setting) for panel in findings.panels}
    told = (_row(findings, finding, places[setting_of(finding)]) for finding in findings.points)
    rows = tuple(tuple(row[name] for name in header) for row in told)
    filters = tuple(name for name in ("Setting", "Operator", "Phase", "Outcome") if name in header)
    return Section(
        title="Every point",
        anchor="points",
        paragraphs=(_tally(findings),),
        tables=(
            Table(
                header,
                rows,
                caption="Spread: relative standard deviation of samples within a process (median over visits) and of visit "
                "medians between processes. Rate: work over median. Energy: of one call, median over visits. Samples: up to 32 of all samples, in order, on a "
                "logarithmic scale from the row's fastest to its slowest.",
                interactive=True,
                filters=filters,
            ),
        ),
    )


def _tally(findings: Findings) -> str:
    counts = Counter(finding.record.outcome for finding in findings.points)
    parts = [f"{counts[outcome]} {OUTCOME_WORDS[outcome]}" for outcome in Outcome if counts[outcome]]
    visits = sum(len(finding.record.visits) for finding in findings.points)
    unstable = sum(finding.summary.unstable for finding in findings.points if finding.summary)
    text = f"{len(findings.points)} points, {visits} visits: {', '.join(parts) or 'none'}."
    return text + (
        f" {unstable} are unstable: fewer than five visits, or the precision was not reached." if unstable else ""
    )


def _place(findings: Findings, setting: Setting) -> str:
    place = f"{setting.scope} {setting.dtype} {setting.device} {setting.shape}"
    machines = {findings.machine(panel.setting) for panel in findings.panels if panel.setting.device == setting.device}
    return place if len(machines) < 2 else f"{place}, {findings.machine(setting)}"


def _row(findings: Findings, finding: Finding, place: str) -> dict[str, Cell]:
    record, summary = finding.record, finding.summary
    point, cost = record.point, record.cost
    return {
        "Setting": Cell(place),
        "Operator": Cell(findings.names[point.label]),
        "Phase": Cell(str(point.phase)),
        "L": Cell(format_length(finding.length), sort=finding.length),
        "Outcome": Cell(OUTCOME_WORDS[record.outcome], tone="" if record.outcome is Outcome.OK else "bad"),
        "Median [95 %]": _number(
            summary.median_s if summary else None, latency_interval(summary) if summary else UNKNOWN
        ),
        "Visits": _number(summary.visits if summary else None, str(summary.visits) if summary else UNKNOWN),
        "Half-width": _fraction(summary.precision if summary else None),
        "Samples": Cell("", strip=strip_of(record)),
        "Peak memory": _metric("peak_memory_bytes", record),
        "Energy": _metric("energy_j", record),
        "Notes": Cell(
            "; ".join(notes(finding)), tone="warn" if summary and (summary.unstable or record.warnings) else ""
        ),
        "Spread within": _fraction(summary.within_spread if summary else None),
        "Spread between": _fraction(summary.between_spread if summary else None),
        "Rate": _metric("flops_per_s", record),
        "Work": _number(cost.flops if cost else None, format_count(cost.flops if cost else None, "FLOP")),
        "Work (paper)": _number(
            cost.flops_paper if cost else None, format_count(cost.flops_paper if cost else None, "FLOP")
        ),
    }


def _metric(name: str, record: Record) -> Cell:
    value = METRICS[name].value(record)
    return _number(value, METRICS[name].show(value))


def _number(value: float | None, text: str) -> Cell:
    known = finite(value)
    return Cell(UNKNOWN, tone="faint") if known is None else Cell(text, sort=known)


def _fraction(fraction: float | None) -> Cell:
    return _number(fraction, format_percent(finite(fraction)))


def notes(finding: Finding) -> list[str]:
    """What qualifies a point: its reason, its prediction, instability, and each kind of warning."""
    record = finding.record
    told = [record.reason] if record.reason else []
    if record.inferred:
        told.append("inferred, not met")
    if finding.predicted_s is not None:
        told.append(f"predicted {format_latency(finding.predicted_s)}, not measured")
    if finding.summary and finding.summary.unstable:
        told.append("unstable")
    return [*told, *(brief(kind, details) for kind, details in grouped(record.warnings).items())]


def strip_of(record: Record) -> tuple[int, ...]:
    """At most 32 of a point's samples in order, as levels 0 to 63 of their logarithm; empty where all are alike."""
    samples = [sample for visit in record.visits for sample in visit.clean_s]
    return quantise(samples[:: -(-len(samples) // STRIP_SAMPLES)]) if samples else ()


def quantise(samples: Sequence[float]) -> tuple[int, ...]:
    """Levels 0 to 63 between the smallest and the largest sample, by their logarithm."""
    logs = np.log(np.asarray(samples, dtype=np.float64))
    span = float(logs.max() - logs.min())
    if not span > 0:
        return ()
    return tuple(int(level) for level in np.rint((logs - logs.min()) / span * (STRIP_LEVELS - 1)))
