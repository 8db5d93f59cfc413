"""Which sides a sweep compares: implementations as named, or the fastest that verifies here, by a short trial."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from hyenaprof.errors import ScenarioError
from hyenaprof.model import ChoiceLine, Phase
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

TRIAL_LENGTH = 4096
TRIAL_RULES = VisitRules(precision=0.05, min_samples=5, max_samples=20, window_s=0.3)
TRIAL_LIMIT_S = 120.0


def chosen_sides(session: Session, standing: Run | None, pythons: Mapping[str, str]) -> tuple[Side, ...]:
    """The sides of a scenario, in its order.

    Args:
        session: Where trials are made; their samples enter no result.
        standing: The run that is resumed: its choices hold.
        pythons: Another environment's interpreter by `operator:implementation`.
    """
    made = {choice.operator: choice.implementation for choice in (standing.choices if standing else ())}
    sides: list[Side] = []
    for name, choice in session.scenario.operators.items():
        known = entry_named(name).implementations
        if choice.implementations:
            names = choice.implementations
        elif len(known) == 1:
            names = known
        elif name in made:
            names = (made[name],)
        else:
            names = (_fastest(session, name, choice, pythons),)
        sides.extend(_side(name, implementation, choice, pythons) for implementation in names)
    return tuple(sides)


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


def _fastest(session: Session, name: str, choice: OperatorChoice, pythons: Mapping[str, str]) -> str:
    trials_s: dict[str, float] = {}
    rejected = _not_here(session, name, choice, pythons)
    candidates = [known for known in entry_named(name).implementations if known not in rejected]
    for implementation in candidates if len(candidates) > 1 else ():
        iteration = _trial(session, _side(name, implementation, choice, pythons))
        try:
            session.describe(iteration.side, iteration.points)
            session.checks.verify(iteration)
            trials_s[implementation] = _time(session, iteration)
        except Refused as refused:
            if refused.worker_lost:
                session.workers.drop(iteration.side)
            rejected[implementation] = f"{refused.outcome}: {refused.reason}"
    if not trials_s and len(candidates) != 1:  # each is closed with its own reason as soon as a length is opened
        return entry_named(name).implementations[0]
    best = min(trials_s, key=trials_s.__getitem__) if trials_s else candidates[0]
    fingerprint_id = session.fingerprint_id(_side(name, best, choice, pythons))
    line = ChoiceLine(
        operator=name, implementation=best, trial_s=trials_s, rejected=rejected, fingerprint_id=fingerprint_id
    )
    session.write([line])
    why = "the fastest that verifies here" if trials_s else "the only one that can be had here"
    session.display.note(f"{name} stands for {name}:{best}, {why}")
    return best


def _not_here(session: Session, name: str, choice: OperatorChoice, pythons: Mapping[str, str]) -> dict[str, str]:
    """Reasons for what cannot be built here, asked of one worker an interpreter: one for each would take seconds each."""
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
    """Which implementations of the side's operator its interpreter can build; none where asking took the worker down."""
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


def _trial(session: Session, side: Side) -> Iteration:
    """The iteration that a candidate is tried on: the scenario's heaviest phase at a moderate length."""
    lengths = [length for length in session.scenario.lengths if length <= TRIAL_LENGTH]
    length = max(lengths, default=session.scenario.lengths[0])
    pairings = pairings_at(length, session.scenario, sides=(side,), dtypes=session.dtypes, device=session.device)
    return pairings[-1].iterations[0]


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
