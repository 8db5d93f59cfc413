"""The crossovers once more under the allocator that a run does not ask for, with some of the budget that is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hyenaprof.environment import Allocator
from hyenaprof.model import Crossover, CrossoverState
from hyenaprof.running.rounds import CROSSOVER_PRECISION
from hyenaprof.running.search import Search
from hyenaprof.running.session import Session
from hyenaprof.running.workers import Refused, Side

OTHER: dict[Allocator, Allocator] = {"warm": "default", "default": "warm"}
ALLOCATED_ON_HOST = frozenset({"cpu"})
"""Devices whose tensors the host's allocator holds."""
SHARE = 0.5
"""How much of what is left it may spend: points far from a crossover want their precision, too."""
AROUND = 4.0
"""A crossover is looked for within this factor of the run's own, either way."""
_STEP = 1.9
"""Lengths nearer to each other than this are left to the bisection."""


def under_other_allocator(session: Session, sides: Sequence[Side], crossovers: Iterable[Crossover]) -> None:
    """Measures around each crossover with fresh workers of the other allocator, where budget remains once they are settled.

    glibc by default maps every large tensor afresh and faults its pages in on each call, which costs the side that makes
    more temporaries more: the crossover moves. Nothing is done on a device with memory of its own, where no crossover
    was found, or where an exact number of rounds was asked for.

    Args:
        session: The run's own.
        sides: What it compares.
        crossovers: What it found.
    """
    lengths = lengths_around(crossovers)
    if session.device not in ALLOCATED_ON_HOST or not lengths or session.scenario.rounds or session.left_s <= 0:
        return
    session.workers.renew()
    allocator = OTHER[session.scenario.protocol.allocator]
    session.display.note(
        f"the crossovers once more under the {allocator} allocator, from {lengths[0]} to {lengths[-1]}"
    )
    try:
        other = session.under(allocator, lengths, share=SHARE, side=sides[0])
    except Refused as refused:
        session.display.note(f"not measured under the {allocator} allocator: {refused.reason}")
        return
    try:
        if other.fingerprint_id(sides[0]) == session.fingerprint_id(sides[0]):
            session.display.note("the allocator is set from outside, so there is no other to measure under")
            return
        SearchBesideSweep(other, sides, precision=CROSSOVER_PRECISION * session.precision).measure()
    finally:
        other.workers.kill()


class SearchBesideSweep(Search):
    """A search beside a sweep: what remains of the budget is all its own."""

    @property
    def _kept_s(self) -> float:
        return 0.0


def lengths_around(crossovers: Iterable[Crossover]) -> tuple[int, ...]:
    """Measured lengths around the proven crossovers, about an octave apart, ascending; none where none was found."""
    held = tuple(crossovers)
    proven = [x for x in held if x.state in {CrossoverState.RESOLVED, CrossoverState.SEVERAL}]
    brackets = [length for x in proven for flip in x.flips for length in flip.bracket]
    if not brackets:
        return ()
    measured = sorted({comparison.length for x in held for comparison in x.comparisons})
    chosen: list[int] = []
    for length in measured:
        near = min(brackets) / AROUND <= length <= max(brackets) * AROUND
        if near and (not chosen or length >= _STEP * chosen[-1]):
            chosen.append(length)
    return tuple(chosen)
