"""A session held against stored ones: the unit is the session, and what the machine did is taken out by calibration."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hyenaprof.analysis.gate import NO_TOLERANCES, Gate, Pair, Verdict, acknowledged, exp, meet, memory, worst_first
from hyenaprof.analysis.location import LEAST_FREEDOM, Location, locate
from hyenaprof.analysis.looks import Ruling, bound, detectable, holm, p_value_above
from hyenaprof.analysis.shifts import shifts
from hyenaprof.model import Curve, Outcome, Point
from hyenaprof.records.baseline import Baseline
from hyenaprof.records.fingerprints import differences
from hyenaprof.records.sessions import CALIBRATION, Measured, Session, point_name, records_of
from hyenaprof.records.tolerances import Expected, Metric, Tolerances, floor_s

ALPHA = 0.05
OK_ALPHA = 0.025
LEAST_CALLED = 0.10
"""What a stored baseline must be able to exclude before a point is ok, and what one session alone may call: cards of
one model and hours of one machine differ by several per cent."""
ENOUGH_SESSIONS = 6
PRIOR = 4.0
"""Degrees of freedom that the variance between sessions over all points has for each of them."""
_METRICS: tuple[Metric, ...] = ("latency", "energy")
HALFWAY = 0.5
"""Roofline position of a point whose cost is not known."""


def judge_stored(
    baseline: Baseline,
    session: Session,
    points: Mapping[str, Point],
    *,
    tolerances: Tolerances = NO_TOLERANCES,
    expected: Sequence[Expected] = (),
) -> Gate:
    """Judges one session against the stored ones.

    The datum is a session's time less its calibration, w x GEMM + (1 - w) x copy by the point's roofline position w,
    all in logarithms. Regressed: Holm's procedure over all points rejects that the session is drawn from the stored ones or
    is faster (prediction t), and the estimate is past the tolerance. ok: the upper prediction bound excludes the
    tolerance, or 10 % where that is more. Against one stored session nothing is known of how sessions scatter: nothing
    under 10 % is regressed, and nothing is ok.

    Args:
        baseline: The stored sessions; machine and protocol must be known to be the session's.
        session: What was measured now.
        points: The session's points by name.
        tolerances: What is let pass.
        expected: Changes that were made on purpose.
    """
    named = {**baseline.points, **points}
    last = baseline.sessions[-1]
    pairs, apart = meet(records_of(last, named), records_of(session, named))
    every = (_trial(pair, metric, baseline, session, tolerances) for pair in pairs for metric in _METRICS)
    judged = judge_trials([trial for trial in every if trial is not None])
    judged += [verdict for pair in pairs if (verdict := memory(pair, tolerances)) is not None]
    verdicts = worst_first(acknowledged(verdict, expected) for verdict in (*judged, *apart))
    regressed = {(v.point.curve, v.point.shape.length) for v in verdicts if v.ruling is Ruling.REGRESSED}

    def got_worse(curve: Curve, low: float, high: float) -> bool:
        return any(of == curve and low <= length <= high for of, length in regressed)

    before, now = [pair.base for pair in pairs], [pair.candidate for pair in pairs]
    return Gate(
        verdicts=verdicts,
        shifts=shifts(before, now, tolerances=tolerances, expected=expected, got_worse=got_worse),
        warnings=tuple(_warnings(baseline, session)),
    )


def detectable_slowdowns(baseline: Baseline, *, tolerances: Tolerances = NO_TOLERANCES) -> dict[str, float]:
    """Least slowdown of each point, by name, that the next session would be flagged for with 80 % power: 0.08 is 8 %.

    It follows from how the stored sessions scatter; points of which that is not known are left out.
    """
    verdicts = judge_stored(baseline, baseline.sessions[-1], baseline.points, tolerances=tolerances).verdicts
    timed = (verdict for verdict in verdicts if verdict.metric == "latency")
    return {point_name(verdict.point): verdict.detectable for verdict in timed if verdict.detectable is not None}


@dataclass(frozen=True, slots=True)
class Trial:
    """One quantity of one point over sessions, in calibrated logarithms.

    Attributes:
        point: Which.
        metric: Time or energy.
        stored: Where each stored session lies, oldest first.
        now: Where the session lies.
        limit: Logarithm of the ratio that is let pass.
        base: Median of the stored sessions' medians, as measured.
        candidate: The session's median, as measured.
    """

    point: Point
    metric: Metric
    stored: tuple[Location, ...]
    now: Location
    limit: float
    base: float
    candidate: float


def _trial(pair: Pair, metric: Metric, baseline: Baseline, session: Session, tolerances: Tolerances) -> Trial | None:
    name = point_name(pair.point)
    sessions = [held for held in baseline.sessions if name in held.points and held.points[name].outcome is Outcome.OK]
    position = _position([held.points[name] for held in sessions])
    calibrated = all(_has_calibration(held) for held in (*sessions, session))
    weights = {"gemm": position, "copy": 1 - position} if calibrated and metric == "latency" else {}
    stored = [found for held in sessions if (found := _located(held, name, metric, weights)) is not None]
    now = _located(session, name, metric, weights)
    if now is None or not stored:
        return None
    base = statistics.median(
        _median(held.points[name], metric) for held in sessions if _known(held.points[name], metric)
    )
    allowed = tolerances.time(pair.point) if metric == "latency" else tolerances.energy(pair.point)
    if metric == "latency":
        allowed = max(allowed, floor_s(pair.point.device) / base)
    return Trial(
        point=pair.point,
        metric=metric,
        stored=tuple(stored),
        now=now,
        limit=math.log1p(allowed),
        base=base,
        candidate=_median(session.points[name], metric),
    )


def _position(held: Iterable[Measured]) -> float:
    known = [measured.compute for measured in held if measured.compute is not None]
    return statistics.median(known) if known else HALFWAY


def _has_calibration(session: Session) -> bool:
    return all(any(value is not None for value in session.calibration.get(name, ())) for name in CALIBRATION)


def _known(measured: Measured, metric: Metric) -> list[float]:
    values = measured.latency_s if metric == "latency" else measured.energy_j
    return [value for value in values if value is not None]


def _median(measured: Measured, metric: Metric) -> float:
    return statistics.median(_known(measured, metric))


def _located(session: Session, name: str, metric: Metric, weights: Mapping[str, float]) -> Location | None:
    """Where a point's calibrated logarithms lie, a value a round; one without calibration counts with the session's."""
    held = session.points[name]
    values = held.latency_s if metric == "latency" else held.energy_j
    usual = {kind: statistics.median(v for v in session.calibration[kind] if v is not None) for kind in weights}
    logs = [
        math.log(value)
        - sum(w * math.log(session.calibration[kind][place] or usual[kind]) for kind, w in weights.items())
        for place, value in enumerate(values)
        if value is not None
    ]
    return locate(logs) if logs else None


def judge_trials(trials: Sequence[Trial]) -> list[Verdict]:
    """Verdicts by prediction: whether the session is drawn from the stored ones."""
    pooled = _pooled_variance(trials)
    predicted = [_prediction(trial, pooled) for trial in trials]
    rejected = holm([p_value_above(location, 0.0) for location in predicted], ALPHA)
    return [
        _verdict(trial, location, is_rejected=is_rejected, alpha=ALPHA / len(trials))
        for trial, location, is_rejected in zip(trials, predicted, rejected, strict=True)
    ]


def _pooled_variance(trials: Iterable[Trial]) -> float:
    """Mean variance between stored sessions over all points that have two."""
    held = [[location.value for location in trial.stored] for trial in trials if len(trial.stored) > 1]
    freedom = sum(len(values) - 1 for values in held)
    return sum(statistics.variance(values) * (len(values) - 1) for values in held) / freedom if freedom else 0.0


def _prediction(trial: Trial, pooled: float) -> Location:
    """How far above the stored sessions the session lies, with the error of predicting one session more.

    The variance between sessions is the point's own, drawn to that of all points: a handful of sessions tells little of
    one point, and sessions of one suite scatter alike. Against one stored session the error is that of the rounds of
    both, which leaves out that sessions scatter.
    """
    count = len(trial.stored)
    if count == 1:
        (stored,) = trial.stored
        error = None if stored.error is None or trial.now.error is None else math.hypot(stored.error, trial.now.error)
        return Location(trial.now.value - stored.value, error, min(stored.freedom, trial.now.freedom), 1)
    values = [location.value for location in trial.stored]
    freedom = PRIOR + count - 1
    variance = (PRIOR * pooled + (count - 1) * statistics.variance(values)) / freedom
    variance = max(variance, (trial.now.error or 0.0) ** 2)
    return Location(trial.now.value - statistics.fmean(values), math.sqrt(variance * (1 + 1 / count)), freedom, count)


def _verdict(trial: Trial, location: Location, *, is_rejected: bool, alpha: float) -> Verdict:
    alone = len(trial.stored) == 1
    called = math.log1p(LEAST_CALLED)
    limit = max(trial.limit, called) if alone else trial.limit
    known = location.error is not None and location.freedom > LEAST_FREEDOM
    low, high = (bound(location, alpha, side=side) if known else None for side in (-1, 1))
    ruling = Ruling.INCONCLUSIVE
    if is_rejected and location.value > limit:
        ruling = Ruling.REGRESSED
    elif not alone and known and bound(location, OK_ALPHA, side=1) < max(limit, called):
        ruling = Ruling.IMPROVED if high is not None and high < 0 and location.value < -limit else Ruling.OK
    return Verdict(
        point=trial.point,
        metric=trial.metric,
        ruling=ruling,
        ratio=exp(location.value),
        low=exp(low),
        high=exp(high),
        rounds=trial.now.count,
        detectable=math.expm1(detectable(location, limit, alpha=alpha)) if known else None,
        tolerance=math.expm1(limit),
        base=trial.base,
        candidate=trial.candidate,
        reason=f"one stored session: nothing under {LEAST_CALLED:.0%} is called" if alone else None,
    )


def _warnings(baseline: Baseline, session: Session) -> Iterator[str]:
    """What qualifies the verdicts: few sessions, no calibration, other software."""
    count = len(baseline.sessions)
    if count == 1:
        yield f"one stored session: nothing under {LEAST_CALLED:.0%} is called, and nothing is ok; add sessions"
    elif count < ENOUGH_SESSIONS:
        yield f"{count} stored sessions: {ENOUGH_SESSIONS} or more find 10 % surely"
    if not all(_has_calibration(held) for held in (*baseline.sessions, session)):
        yield "not every session holds calibrations: what the machine did meanwhile counts as the operators' doing"
    names = ("in the last stored session", "now")
    there, here = baseline.sessions[-1].fingerprint, session.fingerprint
    yield from (f"candidate cause: {said}" for said in differences(there, here, names, parts=("software",)))
