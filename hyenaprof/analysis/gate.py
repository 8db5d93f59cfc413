"""The gate's verdicts: what got slower, larger, later or stopped working between two sides of the same points."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from hyenaprof.analysis.looks import RULES, Decision, Rules, Ruling, Series, decide
from hyenaprof.analysis.sentence import OUTCOME_WORDS
from hyenaprof.analysis.shifts import Shift, shifts
from hyenaprof.analysis.stats import energy_of, log_ratio, median_of
from hyenaprof.model import Outcome, Point, Record, Visit
from hyenaprof.records.tolerances import MEMORY_FLOOR_BYTES, Expected, Metric, Tolerances, floor_s

_LARGEST = 100.0
"""A log ratio or bound past it is no finding: three rounds that share nothing leave one."""
NO_TOLERANCES = Tolerances()
_ORDER = (Ruling.MISSING, Ruling.REGRESSED, Ruling.INCONCLUSIVE, Ruling.NOT_JUDGED, Ruling.IMPROVED, Ruling.OK)
_FAILURES = frozenset(
    {Outcome.OOM, Outcome.TIMEOUT, Outcome.CRASHED, Outcome.INCORRECT, Outcome.UNSUPPORTED, Outcome.IMPLAUSIBLE}
)
"""Outcomes that are the candidate's own doing; that the budget ended is not."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of one quantity of one point.

    Attributes:
        point: Which.
        metric: Time, peak memory or energy; `outcome` where a side did not run.
        ruling: The verdict itself.
        ratio: Candidate over base, above 1 is worse; None where a side has no number.
        low: Lower simultaneous bound of the ratio; None where it is no matter of chance (memory) or not known.
        high: Upper simultaneous bound, likewise.
        rounds: Paired rounds that decided.
        detectable: Least growth that would be flagged with 80 % power here, as a fraction: 0.04 is 4 % slower.
        tolerance: Growth that is let pass here, as a fraction, the absolute floor included.
        base: The base's median in seconds, bytes or joules.
        candidate: The candidate's.
        reason: What decided where no number did, in words.
        expected: Why this change is expected and does not count; None where it does.
    """

    point: Point
    metric: Metric
    ruling: Ruling
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    rounds: int = 0
    detectable: float | None = None
    tolerance: float | None = None
    base: float | None = None
    candidate: float | None = None
    reason: str | None = None
    expected: str | None = None

    @property
    def is_red(self) -> bool:
        """Whether this alone fails the gate."""
        return self.ruling in (Ruling.REGRESSED, Ruling.MISSING) and self.expected is None


@dataclass(frozen=True, slots=True)
class Gate:
    """All that a gate came to, and what it would have to measure to say more.

    Attributes:
        verdicts: The worst first.
        shifts: Crossovers of the suite's pairs, where a side has one; empty until the gate has ended.
        again: Points of which the next look needs more rounds; empty when the gate has ended.
        rounds: Paired rounds that each of `again` needs before `judge` is asked again.
        warnings: What qualifies all of it.
    """

    verdicts: tuple[Verdict, ...]
    shifts: tuple[Shift, ...] = ()
    again: tuple[Point, ...] = ()
    rounds: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def is_red(self) -> bool:
        """Whether anything regressed or is missing that was not expected to."""
        return any(verdict.is_red for verdict in self.verdicts) or any(shift.is_red for shift in self.shifts)

    @property
    def inconclusive_share(self) -> float:
        """Share of the points that ran on both sides of which a quantity is inconclusive."""
        judged = {verdict.point.id for verdict in self.verdicts if verdict.ruling is not Ruling.NOT_JUDGED}
        open_ = {verdict.point.id for verdict in self.verdicts if verdict.ruling is Ruling.INCONCLUSIVE}
        return len(open_) / len(judged) if judged else 0.0


def judge(
    base: Iterable[Record],
    candidate: Iterable[Record],
    *,
    tolerances: Tolerances = NO_TOLERANCES,
    expected: Sequence[Expected] = (),
    rules: Rules = RULES,
    closing: bool = False,
) -> Gate:
    """Judges two sides that were measured in the same rounds: the hard gate.

    Pure, and the same at every call for the same records: it replays its looks (6 rounds, which may only say ok, then
    10, 16 and 24). Call it after the first six rounds; measure every point of `again` until it has `rounds` paired
    rounds; call it again, until `again` is empty. What is not in `again` is settled: rounds that it gets beyond do not
    count.

    Args:
        base: What stood before: one record a point.
        candidate: What is proposed, of the same points; paired with the base's by point and round.
        tolerances: What is let pass.
        expected: Changes that were made on purpose.
        rules: When to look, and how sure to be.
        closing: No more rounds will come, as where the budget ended: what lacks them is inconclusive.
    """
    pairs, apart = meet(base, candidate)
    tried = [_trial(pair, metric, tolerances) for pair in pairs for metric in _tested(pair)]
    decisions = decide([trial.series for trial in tried], rules, closing=closing)
    verdicts = [
        *(_verdict(trial, decision) for trial, decision in zip(tried, decisions, strict=True)),
        *(verdict for pair in pairs if (verdict := memory(pair, tolerances)) is not None),
        *apart,
    ]
    waiting = [(trial.pair.point, decision.wanted) for trial, decision in zip(tried, decisions, strict=True)]
    again = {point.id: (point, wanted) for point, wanted in waiting if wanted is not None}
    return Gate(
        verdicts=worst_first(acknowledged(verdict, expected) for verdict in verdicts),
        shifts=() if again else _shifts(pairs, tolerances, expected),
        again=tuple(point for point, _ in again.values()),
        rounds=max((wanted for _, wanted in again.values()), default=0),
        warnings=tuple(_warnings(pairs)),
    )


def _warnings(pairs: Sequence[Pair]) -> Iterator[str]:
    """How many visits were flagged, by what stands before the first colon of each warning."""
    visits = [visit for pair in pairs for side in (pair.base, pair.candidate) for visit in side.visits]
    kinds = Counter(kind for visit in visits for kind in {warning.partition(":")[0] for warning in visit.warnings})
    yield from (f"{count} of {len(visits)} visits: {kind}" for kind, count in sorted(kinds.items()))


def _shifts(pairs: Sequence[Pair], tolerances: Tolerances, expected: Sequence[Expected]) -> tuple[Shift, ...]:
    base, candidate = [pair.base for pair in pairs], [pair.candidate for pair in pairs]
    return shifts(base, candidate, tolerances=tolerances, expected=expected)


def worst_first(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Verdicts by ruling, what was expected last; within a ruling by how much worse the candidate is."""

    def rank(verdict: Verdict) -> tuple[bool, int, float]:
        return verdict.expected is not None, _ORDER.index(verdict.ruling), -(verdict.ratio or math.inf)

    return tuple(sorted(verdicts, key=rank))


def acknowledged(verdict: Verdict, expected: Iterable[Expected]) -> Verdict:
    """The verdict with the reason of the first expected change that covers it, where it would fail the gate."""
    if not verdict.is_red:
        return verdict
    covering = (entry for entry in expected if entry.covers(verdict.point, verdict.metric, verdict.ratio))
    entry = next(covering, None)
    return replace(verdict, expected=entry.excuse) if entry else verdict


@dataclass(frozen=True, slots=True)
class Pair:
    """One point that ran on both sides."""

    base: Record
    candidate: Record

    @property
    def point(self) -> Point:
        """The point itself."""
        return self.base.point


def meet(base: Iterable[Record], candidate: Iterable[Record]) -> tuple[list[Pair], list[Verdict]]:
    """The points that ran on both sides, and the verdicts on those that did not."""
    before, now = ({record.point.id: record for record in side} for side in (base, candidate))
    pairs, apart = [], []
    for key in dict.fromkeys([*before, *now]):
        ours, theirs = before.get(key), now.get(key)
        if ours is not None and theirs is not None and ran(ours) and ran(theirs):
            pairs.append(Pair(ours, theirs))
        else:
            apart.append(_outcome(ours, theirs))
    return pairs, apart


def ran(record: Record) -> bool:
    """Whether a point was timed and nothing of it failed."""
    return record.outcome is Outcome.OK and bool(record.visits)


def _outcome(base: Record | None, candidate: Record | None) -> Verdict:
    """What is said of a point that did not run on both sides."""
    held = base or candidate
    if held is None:
        raise ValueError("a point needs a side")
    ruling, reason = _ruled_apart(base, candidate)
    return Verdict(held.point, "outcome", ruling, reason=reason)


def _ruled_apart(base: Record | None, candidate: Record | None) -> tuple[Ruling, str]:
    if base is None:
        return Ruling.NOT_JUDGED, "new: the base does not have it"
    if candidate is None:
        return Ruling.MISSING, "in the base, and not in the candidate"
    if candidate.outcome in _FAILURES:
        if ran(base):
            return Ruling.REGRESSED, f"ran before, now {_said(candidate)}"
        return Ruling.NOT_JUDGED, f"{_said(candidate)}; before, {_said(base)}"
    if ran(candidate) and base.outcome in _FAILURES:
        return Ruling.IMPROVED, f"runs now; before, {_said(base)}"
    side, record = ("candidate", candidate) if ran(base) else ("base", base)
    return Ruling.INCONCLUSIVE, f"{side}: {_said(record)}"


def _said(record: Record) -> str:
    words = "not measured" if record.outcome is Outcome.OK else OUTCOME_WORDS[record.outcome]
    return f"{words} ({record.reason})" if record.reason else words


_TAKEN: dict[Metric, Callable[[Visit], float | None]] = {"latency": median_of, "energy": energy_of}


@dataclass(frozen=True, slots=True)
class _Trial:
    """One series of a pair, and the medians behind it."""

    pair: Pair
    metric: Metric
    series: Series
    base: float | None
    candidate: float | None


def _tested(pair: Pair) -> Iterator[Metric]:
    yield "latency"
    if all(any(visit.energy_j for visit in side.visits) for side in (pair.base, pair.candidate)):
        yield "energy"


def _trial(pair: Pair, metric: Metric, tolerances: Tolerances) -> _Trial:
    taken = _TAKEN[metric]
    ratio = log_ratio(pair.base, pair.candidate, taken)
    before, now = _median(pair.base, taken), _median(pair.candidate, taken)
    allowed = tolerances.time(pair.point) if metric == "latency" else tolerances.energy(pair.point)
    if metric == "latency" and before:
        allowed = max(allowed, floor_s(pair.point.device) / before)
    rounds = ratio.rounds if ratio is not None else ()
    return _Trial(pair, metric, Series(rounds, math.log1p(allowed)), before, now)


def _median(record: Record, taken: Callable[[Visit], float | None]) -> float | None:
    known = [value for visit in record.visits if (value := taken(visit)) is not None]
    return statistics.median(known) if known else None


def _verdict(trial: _Trial, decision: Decision) -> Verdict:
    return Verdict(
        point=trial.pair.point,
        metric=trial.metric,
        ruling=decision.ruling,
        ratio=exp(decision.value),
        low=exp(decision.low),
        high=exp(decision.high),
        rounds=decision.rounds,
        detectable=None if decision.detectable is None else math.expm1(decision.detectable),
        tolerance=math.expm1(trial.series.limit),
        base=trial.base,
        candidate=trial.candidate,
    )


def exp(value: float | None) -> float | None:
    """A ratio from its logarithm; None where that is not known, or so large that it says nothing."""
    return None if value is None or value > _LARGEST else math.exp(value)


def memory(pair: Pair, tolerances: Tolerances) -> Verdict | None:
    """The verdict on peak memory: regressed past a share and a floor both; None where a side did not measure it.

    Peaks are the allocator's own count of live bytes and do not scatter, so that one comparison says all.
    """
    if pair.base.memory is None or pair.candidate.memory is None:
        return None
    before, now = pair.base.memory.peak_bytes, pair.candidate.memory.peak_bytes
    allowed_bytes = max(tolerances.memory(pair.point) * before, MEMORY_FLOOR_BYTES)
    ruling = Ruling.REGRESSED if now - before > allowed_bytes else Ruling.OK
    return Verdict(
        point=pair.point,
        metric="peak_memory",
        ruling=Ruling.IMPROVED if before - now > allowed_bytes else ruling,
        ratio=now / before if before else None,
        tolerance=allowed_bytes / before if before else None,
        base=before,
        candidate=now,
    )
