"""Makes points, visits, records and runs whose truth is known, for every test that reads measurements."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from hyenaprof.model import (
    CeilingsLine,
    CheckEntry,
    CheckLine,
    Cost,
    DType,
    EndLine,
    Fingerprint,
    HeaderLine,
    MemoryLine,
    Outcome,
    Phase,
    Point,
    Record,
    Scope,
    Shape,
    Visit,
)
from hyenaprof.records.scenario import Scenario, scenario_from
from hyenaprof.records.store import Run

STARTED_AT = 1_750_000_000.0
LENGTHS = (1024, 2048, 4096, 8192)
PHASES = (Phase.FORWARD, Phase.BACKWARD, Phase.TRAINING)
OPERATORS = {"hyena": "fft", "flash": "sdpa"}

Law = Callable[[str, Phase, int], float]
"""Seconds of one call by operator, phase and length."""

PHASE_FACTOR = {Phase.FORWARD: 1.0, Phase.BACKWARD: 2.0, Phase.TRAINING: 3.0, Phase.DECODE: 0.01}
CROSSOVER = 2896
"""Length at which `crossing_law` makes hyena as fast as flash: 2 ** 11.5, to the nearest token."""


def crossing_law(operator: str, phase: Phase, length: int) -> float:
    """Hyena linear, flash and attention quadratic: equal at CROSSOVER in every phase."""
    linear_s = 2e-3 * length / CROSSOVER
    quadratic_s = 2e-3 * (length / CROSSOVER) ** 2
    seconds = {"hyena": linear_s, "attention": 3 * quadratic_s}.get(operator, quadratic_s)
    return PHASE_FACTOR[phase] * seconds


def make_fingerprint(**software: str) -> Fingerprint:
    """A machine of no particular place."""
    return Fingerprint(
        machine={"device": "cpu", "cpu": "Example CPU", "cores": 2, "memory_gib": 16},
        software={"python": "3.11", "torch": "2.13.0", "hyenaprof": "0.1.0", **software},
        protocol={"cache": "cold", "allocator": "warm", "threads": 2, "cuda_graph": False},
    )


def make_point(
    operator: str = "hyena",
    length: int = 1024,
    *,
    implementation: str | None = None,
    scope: Scope = Scope.LAYER,
    phase: Phase = Phase.FORWARD,
    batch: int = 1,
    width: int = 768,
    heads: int = 12,
    dtype: DType = DType.FLOAT32,
    device: str = "cpu",
    options: tuple[tuple[str, bool | int | float | str], ...] = (),
) -> Point:
    """A point with the defaults of a sweep on a CPU."""
    return Point(
        operator=operator,
        implementation=implementation or OPERATORS.get(operator, "math"),
        scope=scope,
        phase=phase,
        shape=Shape(batch=batch, length=length, width=width, heads=heads),
        dtype=dtype,
        device=device,
        options=options,
    )


def make_visit(
    point: Point,
    latency_s: float | Sequence[float] = 1e-3,
    *,
    round: int = 0,  # noqa: A002 -- the field's name
    order: int = 0,
    samples: int = 10,
    noise: float = 0.0,
    outcome: Outcome = Outcome.OK,
    reason: str | None = None,
    warnings: tuple[str, ...] = (),
    started_at: float | None = None,
    fingerprint_id: str | None = None,
    dropped: tuple[int, ...] = (),
) -> Visit:
    """A visit of given samples, or of `samples` log-normal ones about a median in seconds.

    Args:
        point: What was measured.
        latency_s: Samples, or the median that they scatter about; ignored where the outcome is not ok.
        noise: Relative standard deviation of a sample within the visit.
    """
    drawn = random.Random(f"{point.id} {round}")
    taken = (
        tuple(latency_s)
        if isinstance(latency_s, Sequence)
        else tuple(latency_s * math.exp(drawn.gauss(0.0, noise)) for _ in range(samples))
    )
    return Visit(
        point=point,
        round=round,
        order=order,
        outcome=outcome,
        reason=reason,
        latency_s=taken if outcome is Outcome.OK else (),
        dropped=dropped,
        started_at=STARTED_AT + 10 * round + order if started_at is None else started_at,
        fingerprint_id=fingerprint_id or make_fingerprint().id,
        warnings=warnings,
    )


def make_check(point: Point, *, passed: bool = True) -> CheckLine:
    """Verification at 256 tokens: output, one gradient, causality."""
    error = 3e-7 if passed else 0.25
    return CheckLine(
        point=point.at(256),
        method="float64 definition",
        entries=(
            CheckEntry(quantity="output", error=error, tolerance=1e-5),
            CheckEntry(quantity="gradient of x", error=4e-7, tolerance=1e-5),
            CheckEntry(quantity="causality", error=0.0, tolerance=0.0),
        ),
        fingerprint_id=make_fingerprint().id,
    )


def make_cost(point: Point) -> Cost:
    """Round figures: 1 MFLOP and 24 KiB a token."""
    length = point.shape.length
    return Cost(
        flops=1e6 * length,
        bytes=24 * 1024.0 * length,
        flops_paper=0.9e6 * length,
        parameters=2_465_856,
        need_bytes=48 * 1024.0 * length,
        source="builders",
    )


def peak_bytes_of(point: Point) -> int:
    """24 KiB a token, 12 for flash; 4 bytes a score for attention."""
    length = point.shape.length
    return {"flash": 12 * 1024 * length, "attention": 4 * point.shape.heads * length**2}.get(
        point.operator, 24 * 1024 * length
    )


def make_record(
    point: Point,
    latency_s: float = 1e-3,
    *,
    rounds: int = 6,
    noise: float = 0.0,
    within_noise: float = 0.0,
    order: int = 0,
    warnings: tuple[str, ...] = (),
    fingerprint_id: str | None = None,
) -> Record:
    """A measured point: one visit a round, its median scattered by `noise` from round to round."""
    drawn = random.Random(f"{point.id} rounds")
    identity = fingerprint_id or make_fingerprint().id
    visits = tuple(
        make_visit(
            point,
            latency_s * math.exp(drawn.gauss(0.0, noise)),
            round=number,
            order=(order + number) % 2,
            noise=within_noise,
            warnings=warnings,
            fingerprint_id=identity,
        )
        for number in range(rounds)
    )
    return Record(
        fingerprint_id=identity,
        point=point,
        outcome=Outcome.OK,
        reason=None,
        visits=visits,
        memory=MemoryLine(
            point=point, peak_bytes=peak_bytes_of(point), method="allocation events", fingerprint_id=identity
        ),
        cost=make_cost(point),
        check=make_check(point),
    )


def make_failure(
    point: Point,
    outcome: Outcome = Outcome.OOM,
    reason: str = "needs 48 GiB, 14 GiB available",
    *,
    predicted_s: float | None = None,
    inferred: bool = False,
) -> Record:
    """A point that was not measured, and why."""
    return Record(
        fingerprint_id=make_fingerprint().id,
        point=point,
        outcome=outcome,
        reason=reason,
        cost=make_cost(point),
        check=make_check(point),
        predicted_s=predicted_s,
        inferred=inferred,
    )


def make_records(
    operators: Iterable[str] = tuple(OPERATORS),
    lengths: Iterable[int] = LENGTHS,
    phases: Iterable[Phase] = PHASES,
    *,
    law: Law = crossing_law,
    rounds: int = 6,
    noise: float = 0.01,
    within_noise: float = 0.01,
    dtype: DType = DType.FLOAT32,
    width: int = 768,
    heads: int = 12,
    batch: int = 1,
) -> tuple[Record, ...]:
    """A whole grid of measured points that follow a law."""
    grid = [(name, length, phase) for name in operators for length in lengths for phase in phases]
    return tuple(
        make_record(
            make_point(name, length, phase=phase, dtype=dtype, width=width, heads=heads, batch=batch),
            law(name, phase, length),
            rounds=rounds,
            noise=noise,
            within_noise=within_noise,
            order=index % 2,
        )
        for index, (name, length, phase) in enumerate(grid)
    )


def make_scenario(**raw: object) -> Scenario:
    """The scenario that `make_records` answers."""
    return scenario_from(
        {
            "name": "hyena-vs-flash",
            "purpose": "Where does the long convolution overtake FlashAttention?",
            "operators": {"hyena": {"implementations": ["fft"]}, "flash": {"implementations": ["sdpa"]}},
            "lengths": {"from": 1024, "to": 8192},
            **raw,
        }
    )


def make_run(
    records: Iterable[Record] | None = None, *, folder: Path | None = None, scenario: Scenario | None = None
) -> Run:
    """A finished run of one session."""
    fingerprint = make_fingerprint()
    kept = make_records() if records is None else tuple(records)
    return Run(
        folder=folder,
        scenario=scenario or make_scenario(),
        headers=(HeaderLine(hyenaprof="0.1.0", fingerprint=fingerprint, started_at=STARTED_AT),),
        records=kept,
        checks=tuple({record.check.point.id: record.check for record in kept if record.check}.values()),
        choices=(),
        ceilings=(
            CeilingsLine(
                device="cpu",
                copy_bytes_per_s={2**20: 4e10, 2**28: 1.2e10},
                gemm_flops_per_s={"float32": 1.5e11},
                fingerprint_id=fingerprint.id,
            ),
        ),
        ends=(EndLine(complete=True, reason="every point has its precision", elapsed_s=97.0),),
    )


def with_warnings(record: Record, *warnings: str) -> Record:
    """The same record, its visits flagged."""
    return replace(record, visits=tuple(v.model_copy(update={"warnings": warnings}) for v in record.visits))


def with_energy(record: Record, *energies_j: float) -> Record:
    """The same record, each of its visits with the joules of a call, in turn."""
    visits = zip(record.visits, itertools.cycle(energies_j), strict=False)
    return replace(record, visits=tuple(visit.model_copy(update={"energy_j": joules}) for visit, joules in visits))
