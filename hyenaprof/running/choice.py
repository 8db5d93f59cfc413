"""Which sides a sweep compares: implementations as named, or the fastest that verifies here, by a short trial."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median

from hyenaprof.errors import ScenarioError
from hyenaprof.model import ChoiceLine, Outcome, Phase
from hyenaprof.pipe import (
    Availability,
    AvailabilityAnswer,
    ImplementationStatus,
    Measure,
    MeasureAnswer,
    VisitRules,
)
from hyenaprof.records.outside import entry_named
from hyenaprof.records.scenario import OperatorChoice, Scenario
from hyenaprof.records.store import Run
from hyenaprof.running.plan import Iteration, pairings_at
from hyenaprof.running.session import Session
from hyenaprof.running.workers import Refused, Side
from hyenaprof.units import format_duration

TRIAL_LENGTH = 4096
TRIAL_RULES = VisitRules(precision=0.05, min_samples=5, max_samples=20, window_s=0.3)
TRIAL_LIMIT_S = 120.0
TRIAL_SHARE = 1 / 4
"""Share of the budget that all trials may take together; what one operator leaves of its part is the next one's."""

UNTRIED = "the trials' share of the budget ended before it was timed"


def chosen_sides(session: Session, standing: Run | None, pythons: Mapping[str, str]) -> tuple[Side, ...]:
    """The sides of a scenario, in its order.

    Args:
        session: Where trials are made; their samples enter no result.
        standing: The run that is resumed: its choices hold.
        pythons: Another environment's interpreter by `operator:implementation`.
    """
    made = {choice.operator: choice.implementation for choice in (standing.choices if standing else ())}
    untried = [name for name, choice in session.scenario.operators.items() if _needs_trial(name, choice, made)]
    allowed_s = TRIAL_SHARE * session.scenario.budget
    sides: list[Side] = []
    for name, choice in session.scenario.operators.items():
        if name in untried:
            begun_s = session.elapsed_s
            waiting = len(untried) - untried.index(name)
            names: tuple[str, ...] = (_fastest(session, name, choice, pythons, allowed_s=allowed_s / waiting),)
            allowed_s = max(0.0, allowed_s - (session.elapsed_s - begun_s))
        elif choice.implementations or name not in made:
            names = choice.implementations or entry_named(name).implementations
        else:
            names = (made[name],)
        sides.extend(_side(name, implementation, choice, pythons) for implementation in names)
    return tuple(sides)


def _needs_trial(name: str, choice: OperatorChoice, made: Collection[str]) -> bool:
    return not choice.implementations and name not in made and len(entry_named(name).implementations) > 1


def possible_sides(scenario: Scenario, pythons: Mapping[str, str]) -> tuple[Side, ...]:
    """All sides that may come to be compared, each in its interpreter.

    Raises:
        ScenarioError: An interpreter was named for something that is not among them.
    """
    sides = tuple(
        _side(name, implementation, choice, pythons)
        for name, choice in scenario.operators.items()
        for implementation in choice.implementations or entry_named(name).implementations
    )
    names = [f"{side.operator}:{side.implementation}" for side in sides]
    if unused := set(pythons) - set(names):
        raise ScenarioError(
            f"--python names {min(unused)!r}, which is not compared", hint=f"compared: {', '.join(names)}"
        )
    return sides


def _side(name: str, implementation: str, choice: OperatorChoice, pythons: Mapping[str, str]) -> Side:
    return Side(name, implementation, choice.options, pythons.get(f"{name}:{implementation}"))


def _fastest(
    session: Session, name: str, choice: OperatorChoice, pythons: Mapping[str, str], *, allowed_s: float
) -> str:
    known = entry_named(name).implementations
    session.display.note(
        f"trying which implementation of {name} is the fastest here, for {format_duration(allowed_s)} at most; "
        f"name one, as {name}:{known[0]}, to save that"
    )
    with _within(session, allowed_s):
        rejected = _not_here(session, name, choice, pythons)
        candidates = [implementation for implementation in known if implementation not in rejected]
        sides = [_side(name, implementation, choice, pythons) for implementation in candidates]
        trials_s, refused = _timed(session, sides if len(sides) > 1 else ())
    left_over = [implementation for implementation, why in refused.items() if why.outcome is Outcome.OVER_BUDGET]
    if not trials_s and len(candidates) != 1 and not left_over:
        return known[0]  # each is closed with its own reason as soon as a length is opened
    best = min(trials_s, key=trials_s.__getitem__) if trials_s else (left_over or candidates)[0]
    session.write(
        [
            ChoiceLine(
                operator=name,
                implementation=best,
                trial_s=trials_s,
                rejected=rejected | {key: f"{why.outcome}: {why.reason}" for key, why in refused.items()},
                fingerprint_id=session.fingerprint_id(_side(name, best, choice, pythons)),
            )
        ]
    )
    session.display.note(f"{name} stands for {name}:{best}, {_why(trials_s, candidates, left_over)}")
    return best


def _why(trials_s: Mapping[str, float], candidates: Sequence[str], left_over: Sequence[str]) -> str:
    if len(candidates) == 1:
        return "the only one that can be had here"
    untried = f"; no time was left to try {', '.join(left_over)}" if left_over else ""
    return ("the fastest that verifies here" if trials_s else "untried") + untried


@contextmanager
def _within(session: Session, seconds: float) -> Iterator[None]:
    """Ends the budget earlier for what is asked meanwhile."""
    whole = session.scenario
    session.scenario = whole.model_copy(update={"budget": min(whole.budget, session.elapsed_s + seconds)})
    try:
        yield
    finally:
        session.scenario = whole


def _timed(session: Session, sides: Sequence[Side]) -> tuple[dict[str, float], dict[str, Refused]]:
    """Seconds of a call by implementation, and why the others have none.

    In the heaviest phase of the scenario; in the next where no candidate has that one.
    """
    trials = [_trials(session, side) for side in sides]
    trials_s: dict[str, float] = {}
    refused: dict[str, Refused] = {}
    for candidates in zip(*trials, strict=True):
        for iteration in candidates:
            try:
                trials_s[iteration.side.implementation] = _tried(session, iteration)
            except Refused as why:
                if why.worker_lost:
                    session.workers.drop(iteration.side)
                cut = session.cuts(why)
                refused[iteration.side.implementation] = Refused.of(Outcome.OVER_BUDGET, UNTRIED) if cut else why
        if trials_s or {why.outcome for why in refused.values()} != {Outcome.UNSUPPORTED}:
            break
    return trials_s, {name: why for name, why in refused.items() if name not in trials_s}


def _tried(session: Session, iteration: Iteration) -> float:
    if session.left_s <= 0:
        raise Refused.of(Outcome.OVER_BUDGET, UNTRIED)
    session.describe(iteration.side, iteration.points)
    session.checks.verify(iteration)
    return _time(session, iteration)


def _not_here(session: Session, name: str, choice: OperatorChoice, pythons: Mapping[str, str]) -> dict[str, str]:
    """Reasons for what cannot be built here, asked of one worker an interpreter: one each would take seconds each."""
    sides = [_side(name, known, choice, pythons) for known in entry_named(name).implementations]
    rejected: dict[str, str] = {}
    for python in dict.fromkeys(side.python for side in sides):
        together = {side.implementation: side for side in sides if side.python == python}
        if len(together) > 1:
            statuses = _statuses(session, next(iter(together.values())))
            rejected |= {
                status.implementation: f"not available: {status.reason}"
                for status in statuses
                if not status.available and status.implementation in together
            }
    return rejected


def _statuses(session: Session, side: Side) -> tuple[ImplementationStatus, ...]:
    """Which implementations of the operator an interpreter can build; none where asking took the worker down."""
    try:
        return (
            session.worker(side)
            .ask(
                Availability(operators=(side.operator,)),
                AvailabilityAnswer,
                limit_s=session.limit_s(session.patience_s(TRIAL_LIMIT_S)),
            )
            .statuses
        )
    except Refused:  # each will say what it has to in its own trial
        return ()
    finally:
        session.workers.drop(side)  # it has imported whatever there is; whoever is timed has not


def _trials(session: Session, side: Side) -> tuple[Iteration, ...]:
    """The iterations that a candidate may be tried on, at a moderate length: the scenario's heaviest phase first."""
    lengths = [length for length in session.scenario.lengths if length <= TRIAL_LENGTH]
    length = max(lengths, default=session.scenario.lengths[0])
    pairings = pairings_at(length, session.scenario, sides=(side,), dtypes=session.dtypes, device=session.device)
    return tuple(p.iterations[0] for p in reversed(pairings) if p.setting == pairings[-1].setting)


def _time(session: Session, iteration: Iteration) -> float:
    point = iteration.call_point
    phases = (Phase.TRAINING,) if point.phase.has_gradients else (point.phase,)
    points = tuple(point.reading(phase) for phase in phases)
    answer = session.worker(iteration.side).ask(
        Measure(points=points, round=0, order=0, rules=TRIAL_RULES),
        MeasureAnswer,
        limit_s=session.limit_s(session.patience_s(TRIAL_LIMIT_S)),
    )
    return median(answer.visits[-1].clean_s)
