"""A session of measurement for a baseline: this environment alone, with calibrations spread over every round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hyenaprof.environment import Interpreter
from hyenaprof.model import DType, EndLine, Fingerprint, Phase, Point, Scope, Shape
from hyenaprof.records.scenario import Scenario
from hyenaprof.records.sessions import CALIBRATION
from hyenaprof.running.choice import possible_sides
from hyenaprof.running.gate import examine, new_folder, of_the_gate
from hyenaprof.running.ledger import visit_wall_s
from hyenaprof.running.plan import Iteration, pairings_at
from hyenaprof.running.progress import Display
from hyenaprof.running.session import Session
from hyenaprof.running.workers import Side
from hyenaprof.units import format_duration

ROUNDS = 6
PLACES = 3
"""Times that each calibration is visited in a round."""
_SMALL = {
    "gemm": Shape(batch=1, length=512, width=512, heads=1),
    "copy": Shape(batch=16, length=1024, width=1024, heads=1),
}
_LARGE = {
    "gemm": Shape(batch=1, length=8192, width=8192, heads=1),
    "copy": Shape(batch=64, length=4096, width=1024, heads=1),
}
"""About 10 ms on a CPU's one thread, and about a millisecond on a GPU; the copy is past either's last cache."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A session that was measured.

    Attributes:
        folder: Its run.
        interrupted: Whether it was stopped from outside.
    """

    folder: Path
    interrupted: bool


def measure_session(
    scenario: Scenario,
    interpreter: Interpreter,
    display: Display,
    *,
    out: Path | None = None,
    timeout_s: float | None = None,
    accept: Callable[[Fingerprint], object] | None = None,
) -> Measured:
    """Measures a suite once, six rounds of fresh processes unless the suite says how many.

    Args:
        scenario: The suite. Every implementation of an operator that is named alone takes part.
        interpreter: Runs one worker for all of it.
        display: Told of everything as it happens.
        out: The folder to write to, which must be empty or new; None for a new one under `runs`.
        timeout_s: Seconds after which an operator that gives no answer is killed; None for a limit by prediction.
        accept: Raises where the session's fingerprint will not do, before anything is measured.

    Raises:
        HyenaprofError: It could not begin: no device, no worker, a folder that holds something.
    """
    folder = new_folder(scenario, out, kind="session")
    session = Session(
        scenario,
        folder,
        standing=None,
        lines=(),
        display=display,
        first_side=possible_sides(scenario, {})[0],
        timeout_s=timeout_s,
        command=("baseline", "new", "FILE", "scenario.yaml"),
        interpreter=interpreter,
    )
    try:
        if accept is not None:
            accept(session.fingerprint)
        session.rules = of_the_gate(session.rules)
        _measure(session)
    except KeyboardInterrupt:
        return Measured(folder, interrupted=True)
    finally:
        session.close()
    return Measured(folder, interrupted=False)


def _measure(session: Session) -> None:
    scenario = session.scenario
    sides = possible_sides(scenario, {})
    iterations = [
        iteration
        for length in scenario.lengths
        for pairing in pairings_at(length, scenario, sides=sides, dtypes=session.dtypes, device=session.device)
        for iteration in pairing.iterations
    ]
    calibrations = [_calibrations(session, seed) for seed in range(PLACES)]
    session.know_ceilings(sides[0])
    for iteration in (*iterations, *(each for place in calibrations for each in place)):
        session.describe(iteration.side, iteration.points)
    for iteration in iterations:
        examine(session, iteration)
    done = 0
    for number in range(scenario.rounds or ROUNDS):
        if not _fits(session, iterations, first=not number):
            break
        if number:
            session.workers.renew()
        for place in range(PLACES):
            for iteration in (*calibrations[place], *iterations[place::PLACES]):
                session.visit(iteration, number, 0)
        done = number + 1
        session.display.note(f"round {done}: {format_duration(max(0.0, session.left_s))} left")
    complete = done == (scenario.rounds or ROUNDS)
    reason = "every round was measured" if complete else "the budget was reached"
    session.write([EndLine(complete=complete, reason=reason, elapsed_s=session.elapsed_s)])


def _calibrations(session: Session, seed: int) -> list[Iteration]:
    """The calibrations of one place in a round; another seed makes other points of them."""
    sizes = _LARGE if session.device == "cuda" else _SMALL
    kind = DType.BFLOAT16 if session.device == "cuda" else DType.FLOAT32
    return [
        Iteration(
            Side(operator, "plain"),
            (
                Point(
                    operator=operator,
                    implementation="plain",
                    scope=Scope.CORE,
                    phase=Phase.FORWARD,
                    shape=sizes[name],
                    dtype=kind,
                    device=session.device,
                    seed=seed,
                ),
            ),
        )
        for name, operator in CALIBRATION.items()
    ]


def _fits(session: Session, iterations: list[Iteration], *, first: bool) -> bool:
    """Whether what is left of the budget holds another round; the first is begun in any case."""
    needed_s = sum(visit_wall_s(session.ledger.call_s(it), session.rules, first=first) for it in iterations)
    return session.left_s > 0 and (first or needed_s + session.workers.start_s <= session.left_s)
