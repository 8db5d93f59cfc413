"""A run as a table for other tools: one row a point, base units, the unit in the column's name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hyenaprof.analysis.metrics import METRICS
from hyenaprof.records.store import Run
from hyenaprof.report.findings import Finding, find
from hyenaprof.report.words import finite

if TYPE_CHECKING:
    import pandas as pd

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column's type and what it holds, with its unit."""

    dtype: Literal["string", "int64", "float64", "boolean"]
    meaning: str


COLUMNS: dict[str, Column] = {
    "operator": Column("string", "name in the table of operators"),
    "implementation": Column("string", "which implementation ran"),
    "options": Column("string", "options that differ from the defaults, `name=value` joined by commas"),
    "scope": Column("string", "what the timed region holds: core, layer or block"),
    "phase": Column("string", "forward, backward, training or decode"),
    "length": Column("int64", "sequence length L in tokens"),
    "batch": Column("int64", "batch size B"),
    "width": Column("int64", "channels D"),
    "heads": Column("int64", "heads H"),
    "dtype": Column("string", "element type"),
    "device": Column("string", "device kind"),
    "seed": Column("int64", "seed of the inputs"),
    "fingerprint_id": Column("string", "what the numbers belong to"),
    "outcome": Column("string", "ok, or why there is no number"),
    "reason": Column("string", "the outcome's reason in words"),
    "median_s": Column("float64", f"{METRICS['median_s'].source}, seconds"),
    "low_s": Column("float64", "lower end of its 95 % interval, seconds"),
    "high_s": Column("float64", "upper end of its 95 % interval, seconds"),
    "visits": Column("int64", "visits behind the median"),
    "samples": Column("int64", "samples behind the median, dropped ones not counted"),
    "precision": Column("float64", "half-width of the interval over the median"),
    "within_spread": Column("float64", "relative standard deviation inside a process, median over visits"),
    "between_spread": Column("float64", "relative standard deviation of visit medians"),
    "unstable": Column("boolean", "fewer than five visits, or the precision was not reached"),
    "predicted_s": Column("float64", "seconds from the cost model where nothing was measured; never a measurement"),
    "inferred": Column("boolean", "whether the outcome was concluded rather than met"),
    "flops": Column("float64", "algorithmic FLOPs of one call, multiply and add counted as two"),
    "bytes": Column("float64", "least bytes moved by one call, fully fused"),
    "flops_paper": Column("float64", "FLOPs by the operator's paper's own formula"),
    **{name: Column("float64", metric.source) for name, metric in METRICS.items() if name != "median_s"},
    "warnings": Column("string", "warnings of all visits, joined by semicolons"),
}
"""Every column, in order; what is not known is missing: NA in text and flags, NaN in numbers."""


def to_pandas(run: Run) -> pd.DataFrame:
    """One row a point, in the order of the run, with the columns of `COLUMNS`; failures are rows like any other."""
    import pandas as pd

    rows = [_row(finding) for finding in find(run).points]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({name: column.dtype for name, column in COLUMNS.items()})


def write_csv(run: Run, path: Path) -> Path:
    """Writes the frame as CSV, missing values empty.

    Returns:
        The path written.
    """
    to_pandas(run).to_csv(path, index=False, lineterminator="\n")
    return path


def _row(finding: Finding) -> dict[str, Value]:
    record = finding.record
    return {
        **_point(finding),
        "outcome": str(record.outcome),
        "reason": record.reason,
        **_time(finding),
        "predicted_s": finite(finding.predicted_s),
        "inferred": record.inferred,
        **_work(finding),
        **{name: finite(metric.value(record)) for name, metric in METRICS.items()},
        "warnings": "; ".join(record.warnings),
    }


def _point(finding: Finding) -> dict[str, Value]:
    point = finding.record.point
    return {
        "operator": point.operator,
        "implementation": point.implementation,
        "options": ",".join(f"{name}={value}" for name, value in point.options),
        "scope": str(point.scope),
        "phase": str(point.phase),
        "length": point.shape.length,
        "batch": point.shape.batch,
        "width": point.shape.width,
        "heads": point.shape.heads,
        "dtype": str(point.dtype),
        "device": point.device,
        "seed": point.seed,
        "fingerprint_id": finding.record.fingerprint_id,
    }


def _time(finding: Finding) -> dict[str, Value]:
    summary = finding.summary
    if summary is None:
        return {"visits": len(finding.record.visits), "samples": 0}
    return {
        "low_s": finite(summary.low_s),
        "high_s": finite(summary.high_s),
        "visits": summary.visits,
        "samples": summary.samples,
        "precision": finite(summary.precision),
        "within_spread": finite(summary.within_spread),
        "between_spread": finite(summary.between_spread),
        "unstable": summary.unstable,
    }


def _work(finding: Finding) -> dict[str, Value]:
    cost = finding.record.cost
    if cost is None:
        return {}
    return {
        "flops": cost.flops,
        "bytes": cost.bytes,
        "flops_paper": cost.flops_paper,
    }
