"""Both sides of a round at one clock: what a GPU ran at another one is measured once more, and flagged if it stays so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hyenaprof.model import Visit
from hyenaprof.pipe import MeasureAnswer

APART = 0.02
"""Share by which the SM clocks of two visits of a round may differ."""


def at_one_clock(measure: Callable[[], MeasureAnswer], beside: Sequence[Visit]) -> MeasureAnswer:
    """Measures, and once more where the device's clock was another than beside it.

    Args:
        measure: One visit, made anew by each call.
        beside: Visits of the same round that the other side made on the same GPU; none where clocks are not compared.
    """
    answer = measure()
    if not clocks_apart(answer.visits, beside):
        return answer
    again = measure()
    told = clocks_apart(again.visits, beside)
    visits = tuple(
        visit.model_copy(update={"warnings": (*visit.warnings, told)}) if told else visit for visit in again.visits
    )
    return again.model_copy(update={"visits": visits, "ceilings": again.ceilings or answer.ceilings})


def clocks_apart(visits: Sequence[Visit], beside: Sequence[Visit]) -> str:
    """What is said where the clocks of visits differ from those beside them; empty where they agree or are not known."""
    own, theirs = _clock_mhz(visits), _clock_mhz(beside)
    if own is None or theirs is None or abs(own - theirs) <= APART * max(own, theirs):
        return ""
    return f"clocks apart: the device ran at {own:.0f} MHz, and at {theirs:.0f} MHz for the other side of the round"


def _clock_mhz(visits: Sequence[Visit]) -> float | None:
    return next((visit.state.clock_mhz for visit in visits if visit.state is not None), None)
