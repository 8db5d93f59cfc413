"""Iterations and ledgers of no particular run, for every test of what a sweep decides."""

from __future__ import annotations

from collections.abc import Iterable

from builders import make_point, make_scenario, make_visit

from hyenaprof.model import DType, Phase
from hyenaprof.running.ledger import Ledger
from hyenaprof.running.plan import Iteration, Pairing, Setting, pairings_at
from hyenaprof.running.workers import Side

SIDES = (Side("hyena", "fft"), Side("flash", "sdpa"))


def make_iteration(operator: str = "hyena", length: int = 1024, *phases: Phase) -> Iteration:
    """One side at one length, forward unless phases are named."""
    points = tuple(make_point(operator, length, phase=phase) for phase in phases or (Phase.FORWARD,))
    return Iteration(Side(operator, points[0].implementation), points)


def make_pairing(length: int = 1024, *phases: Phase, operators: Iterable[str] = ("hyena", "flash")) -> Pairing:
    """Those operators at one length."""
    iterations = tuple(make_iteration(operator, length, *phases) for operator in operators)
    point = iterations[0].points[0]
    shape = point.shape
    return Pairing(Setting(point.scope, shape.batch, shape.width, shape.heads, DType.FLOAT32), length, iterations)


def make_pairings(length: int, **scenario: object) -> tuple[Pairing, ...]:
    """What a scenario makes of one length, in float32 on a CPU."""
    return pairings_at(length, make_scenario(**scenario), sides=SIDES, dtypes=(DType.FLOAT32,), device="cpu")


def visited(ledger: Ledger, iteration: Iteration, latency_s: float = 1e-3, *, rounds: Iterable[int] = (0,)) -> None:
    """Gives every point of an iteration visits of that median in those rounds."""
    ledger.add(make_visit(point, latency_s, round=number) for number in rounds for point in iteration.points)
