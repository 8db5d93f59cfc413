"""Journal lines put together: one Record for each (fingerprint, point)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from hyenaprof.model import (
    CheckLine,
    Cost,
    CostLine,
    HeaderLine,
    JournalLine,
    MemoryLine,
    Outcome,
    Point,
    Record,
    SkipLine,
    Visit,
)

Key = tuple[str, str]
"""(fingerprint id, point id)."""


def assemble(lines: Iterable[JournalLine]) -> tuple[Record, ...]:
    """Gathers what a journal says of each point, ordered by operator, phase and length.

    A visit that stands twice under one key counts once, the first. A point with a failed visit is that failure,
    whatever else was measured; a skip counts only where there is no visit. Where several runs were merged, rounds are
    counted on from one to the next: what was not measured in one run was not paired.
    """
    visits: dict[Key, dict[int, Visit]] = defaultdict(dict)
    skips: dict[Key, SkipLine] = {}
    memory: dict[Key, MemoryLine] = {}
    checks: dict[Key, CheckLine] = {}
    costs: dict[str, Cost] = {}
    points: dict[Key, Point] = {}
    conditions: dict[str, str] = {}
    for line in _counted_on(tuple(lines)):
        if isinstance(line, HeaderLine):
            conditions[line.fingerprint.id] = line.fingerprint.conditions
        elif isinstance(line, CostLine):
            costs[line.point.id] = line.cost
        elif isinstance(line, Visit | SkipLine | MemoryLine | CheckLine):
            key = (line.fingerprint_id, line.point.id)
            if isinstance(line, Visit):
                visits[key].setdefault(line.round, line)
                points[key] = line.point
            elif isinstance(line, SkipLine):
                skips[key] = line
                points[key] = line.point
            elif isinstance(line, MemoryLine):
                memory[key] = line
            else:
                checks[key] = line
    records = (
        _timed(key, point, tuple(visits.get(key, {}).values()), skip=skips.get(key)) for key, point in points.items()
    )
    told = (
        replace(
            r,
            memory=memory.get(k),
            check=checks.get(k),
            cost=costs.get(r.point.id),
            conditions=conditions.get(r.fingerprint_id),
        )
        for k, r in zip(points, records, strict=True)
    )
    return tuple(sorted(told, key=_order))


def _counted_on(lines: Sequence[JournalLine]) -> Iterator[JournalLine]:
    """The lines, a merged run's rounds beginning where those of the run before it ended."""
    runs: list[str | None] = []
    for line in lines:
        runs.append(line.run if isinstance(line, HeaderLine) else (runs[-1] if runs else None))
    begin, start = {}, 0
    for run in dict.fromkeys(runs):
        begin[run] = start
        rounds = [line.round for line, of in zip(lines, runs, strict=True) if of == run and isinstance(line, Visit)]
        start += max(rounds, default=-1) + 1
    for line, run in zip(lines, runs, strict=True):
        if isinstance(line, Visit) and begin[run]:
            yield line.model_copy(update={"round": line.round + begin[run]})
        else:
            yield line


def _timed(key: Key, point: Point, visits: Sequence[Visit], *, skip: SkipLine | None) -> Record:
    good = tuple(sorted((v for v in visits if v.outcome is Outcome.OK), key=lambda v: v.round))
    failures = tuple(v for v in visits if v.outcome is not Outcome.OK)
    if failures:
        return Record(key[0], point, failures[-1].outcome, failures[-1].reason, good, failures)
    if good or skip is None:
        return Record(key[0], point, Outcome.OK, None, good)
    return Record(key[0], point, skip.outcome, skip.reason, predicted_s=skip.predicted_s, inferred=skip.inferred)


def _order(record: Record) -> tuple[object, ...]:
    curve = record.point.curve
    phases = ("forward", "backward", "training", "decode")
    setting = (curve.scope, curve.device, curve.dtype, curve.batch, curve.width, curve.heads)
    return (
        *setting,
        phases.index(curve.phase),
        record.point.shape.length,
        curve.label,
        record.point.seed,
        record.fingerprint_id,
    )
