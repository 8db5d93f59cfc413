"""The table of metrics: what can be said of one measured point in one number. A metric is one entry."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hyenaprof.analysis.stats import energy_of, median_of
from hyenaprof.model import Outcome, Phase, Record
from hyenaprof.units import format_bytes, format_energy, format_latency, format_rate

Value = Callable[[Record], float | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a point.

    Attributes:
        title: Column header.
        unit: Base unit of the value.
        better: Which way is better.
        value: The number in its base unit; None where it was not measured or is not known.
        show: Writes it, None as a dash.
        source: What it is worked out from.
    """

    title: str
    unit: str
    better: Literal["lower", "higher"]
    value: Value
    show: Callable[[float | None], str]
    source: str


def tokens_of(record: Record) -> int:
    """Tokens that one call works on: all of them, or one new one a sequence when decoding."""
    shape = record.point.shape
    return shape.batch * (1 if record.point.phase is Phase.DECODE else shape.length)


def latency_of(record: Record) -> float | None:
    """Median over visits of the visit medians, in seconds."""
    medians = [median for visit in record.visits if (median := median_of(visit)) is not None]
    return statistics.median(medians) if medians and record.outcome is Outcome.OK else None


def _over_latency(amount: Value) -> Value:
    def rate(record: Record) -> float | None:
        latency_s, whole = latency_of(record), amount(record)
        return whole / latency_s if latency_s and whole is not None else None

    return rate


def _per_token(amount: Value) -> Value:
    def share(record: Record) -> float | None:
        whole = amount(record)
        return whole / tokens_of(record) if whole is not None else None

    return share


def _peak_bytes(record: Record) -> float | None:
    return float(record.memory.peak_bytes) if record.memory else None


def _flops(record: Record) -> float | None:
    return record.cost.flops if record.cost else None


def _bytes(record: Record) -> float | None:
    return record.cost.bytes if record.cost else None


def energy_j_of(record: Record) -> float | None:
    """Median over visits of a call's joules; None where no visit could tell them."""
    known = [energy_j for visit in record.visits if (energy_j := energy_of(visit)) is not None]
    return statistics.median(known) if known and record.outcome is Outcome.OK else None


def _show_rate(unit: str) -> Callable[[float | None], str]:
    return lambda value: format_rate(value, unit)


def _show_per_token(show: Callable[[float | None], str]) -> Callable[[float | None], str]:
    return lambda value: show(value) + ("" if value is None else "/token")


METRICS: dict[str, Metric] = {
    "median_s": Metric("time", "s", "lower", latency_of, format_latency, "median of visit medians"),
    "tokens_per_s": Metric(
        "tokens/s", "token/s", "higher", _over_latency(tokens_of), _show_rate("token"), "batch x length over the time"
    ),
    "flops_per_s": Metric(
        "rate", "FLOP/s", "higher", _over_latency(_flops), _show_rate("FLOP"), "analytic FLOPs over the time"
    ),
    "bytes_per_s": Metric(
        "bandwidth", "B/s", "higher", _over_latency(_bytes), _show_rate("B"), "least bytes moved, over the time"
    ),
    "peak_memory_bytes": Metric(
        "peak memory",
        "B",
        "lower",
        _peak_bytes,
        format_bytes,
        "peak of allocated bytes in a separate pass, less inputs and weights",
    ),
    "peak_memory_bytes_per_token": Metric(
        "memory/token",
        "B/token",
        "lower",
        _per_token(_peak_bytes),
        _show_per_token(format_bytes),
        "peak memory over batch x length",
    ),
    "energy_j": Metric(
        "energy",
        "J",
        "lower",
        energy_j_of,
        format_energy,
        "joules of one call by the device's counter, median over visits",
    ),
    "energy_j_per_token": Metric(
        "energy/token",
        "J/token",
        "lower",
        _per_token(energy_j_of),
        _show_per_token(format_energy),
        "joules of a call over batch x length",
    ),
}
"""By the name of the metric's column in a table, with its unit. Reports and frames read every such number from here."""
