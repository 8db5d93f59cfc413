"""Straight for the crossover: doubling until one octave past the first sign change, then bisection."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from hyenaprof.analysis.crossover import statements
from hyenaprof.model import Crossover, Flip
from hyenaprof.running import rounds
from hyenaprof.running.plan import Pairing
from hyenaprof.running.session import Session
from hyenaprof.running.sweep import Sweep
from hyenaprof.running.workers import Side
from hyenaprof.units import format_percent


class Search(Sweep):
    """The loop of `hyenaprof crossover`: a length is measured only where it tells of a crossover.

    Args:
        session: Where visits are made and journaled.
        sides: What is compared.
        precision: Half-width of a crossover's interval, over its length, to stop at.
    """

    def __init__(self, session: Session, sides: Sequence[Side], *, precision: float) -> None:
        super().__init__(session, sides, refine=True)
        self._precision = precision
        self._told_last: tuple[str, ...] = ()

    @property
    def _crossover_precision(self) -> float:
        return self._precision

    def _breadth(self) -> None:
        """One round of each length, up to an octave past the first sign change of every phase."""
        for length in self._session.scenario.lengths:
            self._open(length)
            self._visit_length(length, 0, 1)
            crossovers = self.crossovers()
            if crossovers and all(_passed(crossover, length) for crossover in crossovers):
                break
        self._tell()

    def _settling(self) -> tuple[Pairing, ...]:
        """Pairings around sign changes that are not sharp enough, and new lengths that bisect them."""
        self._tell()
        crossovers = self.crossovers()
        crossing = rounds.unsettled(crossovers, precision=self._precision)
        if crossing:
            self._open_between(crossovers)
        ends = {rounds.crossing_at(length, c.challenger) for c in crossovers for length in _telling(c)}
        return tuple(
            pairing
            for pairings in self._pairings.values()
            for pairing in pairings
            if self._begun(pairing) and self._lacks_rounds(pairing, crossing=crossing, ends=ends)
        )

    def _imprecise(self) -> tuple[Pairing, ...]:
        """Nothing but what a crossover rests on."""
        return self._settling()

    def _lacks_rounds(
        self, pairing: Pairing, *, crossing: frozenset[rounds.Crossing], ends: set[rounds.Crossing]
    ) -> bool:
        key = rounds.crossing_of(pairing)
        wanted = max(
            rounds.MOST_ROUNDS * (key in crossing),
            rounds.CROSSOVER_ROUNDS * (key in self._between and bool(crossing)),
            rounds.BREADTH_ROUNDS * (key in ends),
        )
        live = [it for it in pairing.iterations if self._ledger.open_points(it)]
        return any(self._ledger.rounds(it) < wanted for it in live)

    def _complete(self) -> bool:
        crossovers = self.crossovers()
        measured = crossovers and all(crossover.comparisons for crossover in crossovers)
        settled = not rounds.unsettled(crossovers, precision=self._precision)
        found = bool(measured) and all(crossover.flips for crossover in crossovers)
        return bool(measured) and settled and not self._cut and (found or not self._left_out)

    def _finish(self) -> None:
        """Tells what was not reached, then ends."""
        for crossover in self.crossovers():
            for flip in crossover.flips:
                if flip.half_width > self._precision:
                    self._session.display.note(f"{crossover.challenger.phase}: {_reached(flip, self._precision)}")
        super()._finish()

    def _tell(self) -> None:
        """The bracket as it stands, whenever it has moved."""
        told = statements(self._ledger.records())
        if told != self._told_last and self._ledger.records():
            self._told_last = told
            for text in told:
                self._session.display.note(text)


def _passed(crossover: Crossover, length: int) -> bool:
    """Whether a length lies an octave past the first change of sign between neighbouring lengths."""
    faster = [(c.length, c.ratio > 1) for c in crossover.comparisons]
    changes = [after for (_, one), (after, other) in itertools.pairwise(faster) if one != other]
    return bool(changes) and length >= 2 * changes[0]


def _telling(crossover: Crossover) -> tuple[int, ...]:
    """Lengths that the answer rests on: both sides of every change of sign, or the ends of the range."""
    brackets = tuple(length for flip in crossover.flips for length in flip.bracket)
    return brackets or tuple(c.length for c in (*crossover.comparisons[:1], *crossover.comparisons[-1:]))


def _reached(flip: Flip, precision: float) -> str:
    known = "has no interval" if flip.half_width == math.inf else f"is known within {format_percent(flip.half_width)}"
    return f"the crossover {known} yet, {format_percent(precision)} was asked for: the same command goes on from here"
