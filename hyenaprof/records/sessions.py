"""A session of measurement as a baseline keeps it: visit medians by round and calibration, its samples left out."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from hyenaprof.errors import BaselineError
from hyenaprof.model import Fingerprint, MemoryLine, OnDisk, Outcome, Point, Record, Visit
from hyenaprof.records.store import Run

CALIBRATION = {
    "gemm": "hyenaprof.operators.calibration:Product",
    "copy": "hyenaprof.operators.calibration:Copy",
}
"""Operators of a fixed amount of work that are measured among the others: what they take says how the machine is."""
Values = tuple[Annotated[float, Field(gt=0)] | None, ...]
"""One a round of the session, None where there is none."""


class Measured(OnDisk):
    """What a session knows of one point."""

    outcome: Outcome = Outcome.OK
    reason: str | None = None
    latency_s: Values = ()
    """Visit medians by round."""
    energy_j: Values = ()
    """Joules per call by round; empty where they were not measured."""
    peak_bytes: int | None = None
    compute: float | None = Field(default=None, ge=0, le=1)
    """Roofline position: the share of arithmetic in arithmetic and memory traffic; None where the cost is not known."""


class Session(OnDisk):
    """One session of measurement: the unit of a stored comparison."""

    started_at: float
    """Seconds since the epoch, UTC."""
    hyenaprof: str
    fingerprint: Fingerprint
    rounds: tuple[int, ...]
    """Numbers of its rounds, in the order of all values by round."""
    calibration: dict[str, Values] = Field(default_factory=dict)
    """Seconds of `gemm` and `copy` by round: geometric means of their visits' medians."""
    points: dict[str, Measured]
    """By the point's name: its words and its id."""

    @model_validator(mode="after")
    def _a_value_a_round(self) -> Self:
        held = [*self.calibration.items(), *((name, each.latency_s) for name, each in self.points.items())]
        held += [(name, each.energy_j) for name, each in self.points.items() if each.energy_j]
        for name, values in held:
            if len(values) != len(self.rounds):
                raise ValueError(f"{name}: {len(values)} values for {len(self.rounds)} rounds")
        return self

    @property
    def name(self) -> str:
        """When it began: `2026-11-22T21:15:07Z`."""
        return datetime.fromtimestamp(self.started_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def median_s(self, name: str) -> float | None:
        """Median over rounds of a point's time in seconds; None where the session has none."""
        held = self.points.get(name)
        known = [value for value in held.latency_s if value is not None] if held else []
        return statistics.median(known) if known else None


def point_name(point: Point) -> str:
    """A point in words and by its id: `hyena:fft training L=8192 3fa9c01b22aa`."""
    return f"{point} {point.id}"


def points_of(run: Run) -> dict[str, Point]:
    """A run's points by name; calibrations are none."""
    return ordered({point_name(record.point): record.point for record in run.records if not _calibrates(record)})


def ordered(points: Mapping[str, Point]) -> dict[str, Point]:
    """Points by name in a fixed order."""
    return dict(sorted(points.items(), key=lambda item: order_of(item[1])))


def order_of(point: Point) -> tuple[str, str, int, str]:
    """What points are sorted by: operator, phase, length."""
    return (point.label, point.phase, point.shape.length, point.id)


def session_of(run: Run) -> Session:
    """A finished run as a session: medians by round and calibration, its samples left out.

    Raises:
        BaselineError: The run holds no measurement, or was measured in several environments.
    """
    known = {record.fingerprint_id for record in run.records}
    if not run.headers or not any(record.visits for record in run.records):
        raise BaselineError("the session measured nothing", hint="a baseline needs points that ran")
    if len(known) > 1:
        raise BaselineError(
            f"the session was measured in {len(known)} environments", hint="measure a baseline in one environment"
        )
    header = next(header for header in run.headers if header.fingerprint.id in known)
    rounds = tuple(sorted({visit.round for record in run.records for visit in record.visits}))
    rates = _rates(run.records)
    return Session(
        started_at=round(header.started_at, 3),
        hyenaprof=header.hyenaprof,
        fingerprint=header.fingerprint,
        rounds=rounds,
        calibration=_calibration(run.records, rounds),
        points={
            point_name(record.point): _measured(record, rounds, rates)
            for record in sorted(run.records, key=lambda held: order_of(held.point))
            if not _calibrates(record)
        },
    )


def _calibrates(record: Record) -> bool:
    return record.point.operator in CALIBRATION.values()


def _calibration(records: Iterable[Record], rounds: Sequence[int]) -> dict[str, Values]:
    """Geometric means over the visits of each round, so that three places in a round count alike."""
    names = {operator: name for name, operator in CALIBRATION.items()}
    logs: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if _calibrates(record):
            for visit in record.visits:
                if visit.clean_s:
                    logs[names[record.point.operator]][visit.round].append(math.log(statistics.median(visit.clean_s)))
    return {
        name: tuple(_short(math.exp(statistics.fmean(held[number]))) if number in held else None for number in rounds)
        for name, held in sorted(logs.items())
    }


def _measured(record: Record, rounds: Sequence[int], rates: Rates) -> Measured:
    medians = {visit.round: statistics.median(visit.clean_s) for visit in record.visits if visit.clean_s}
    energies = {visit.round: visit.energy_j for visit in record.visits if visit.energy_j is not None}
    return Measured(
        outcome=record.outcome,
        reason=record.reason,
        latency_s=_by_round(medians, rounds),
        energy_j=_by_round(energies, rounds) if energies else (),
        peak_bytes=record.memory.peak_bytes if record.memory else None,
        compute=rates.compute(record),
    )


def _by_round(values: Mapping[int, float], rounds: Sequence[int]) -> Values:
    return tuple(_short(values[number]) if number in values else None for number in rounds)


def _short(value: float) -> float:
    """Six digits: a hundredth of what any clock here repeats."""
    return float(f"{value:.6g}")


@dataclass(frozen=True, slots=True)
class Rates:
    """What the calibrations did in this session; None where they were not measured.

    Attributes:
        flops_per_s: Of the matrix product.
        bytes_per_s: Of the copy.
    """

    flops_per_s: float | None
    bytes_per_s: float | None

    def compute(self, record: Record) -> float | None:
        """Share of arithmetic in the time that a point's arithmetic and its memory traffic take at these rates."""
        if record.cost is None or not self.flops_per_s or not self.bytes_per_s:
            return None
        arithmetic_s, traffic_s = record.cost.flops / self.flops_per_s, record.cost.bytes / self.bytes_per_s
        return round(arithmetic_s / (arithmetic_s + traffic_s), 3) if arithmetic_s + traffic_s else None


def _rates(records: Iterable[Record]) -> Rates:
    found: dict[str, float] = {}
    for record in records:
        medians = [statistics.median(visit.clean_s) for visit in record.visits if visit.clean_s]
        if record.cost is not None and medians:
            for name, amount in (("gemm", record.cost.flops), ("copy", record.cost.bytes)):
                if record.point.operator == CALIBRATION[name]:
                    found[name] = amount / statistics.median(medians)
    return Rates(found.get("gemm"), found.get("copy"))


def records_of(session: Session, points: Mapping[str, Point]) -> tuple[Record, ...]:
    """A session's points as records again, each visit a single sample, its median.

    Args:
        session: What was kept.
        points: The baseline's, or the run's, by name.
    """
    return tuple(_record(points[name], held, session) for name, held in session.points.items())


def _record(point: Point, held: Measured, session: Session) -> Record:
    identity, memory = session.fingerprint.id, None
    if held.peak_bytes is not None:
        memory = MemoryLine(point=point, peak_bytes=held.peak_bytes, method="baseline", fingerprint_id=identity)
    energies = held.energy_j or (None,) * len(session.rounds)
    visits = tuple(
        Visit(
            point=point,
            round=number,
            order=0,
            outcome=Outcome.OK,
            latency_s=(latency_s,),
            energy_j=energy_j,
            started_at=session.started_at,
            fingerprint_id=identity,
        )
        for number, latency_s, energy_j in zip(session.rounds, held.latency_s, energies, strict=True)
        if latency_s is not None
    )
    return Record(identity, point, held.outcome, held.reason, visits, memory=memory)
