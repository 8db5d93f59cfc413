"""What is derived from journal lines: in memory only, recomputed whenever a journal is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from hyenaprof.model.lines import CheckLine, MemoryLine, Visit
from hyenaprof.model.point import Cost, Curve, Outcome, Point


@dataclass(frozen=True, slots=True)
class Record:
    """All that a run knows of one point on one fingerprint, assembled when read."""

    fingerprint_id: str
    point: Point
    outcome: Outcome
    reason: str | None
    visits: tuple[Visit, ...] = ()
    """Visits with outcome ok, by round."""
    failures: tuple[Visit, ...] = ()
    memory: MemoryLine | None = None
    cost: Cost | None = None
    check: CheckLine | None = None
    predicted_s: float | None = None
    inferred: bool = False
    conditions: str | None = None
    """The fingerprint's machine and protocol; None where the journal does not tell, as in a table from elsewhere."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of all visits, each once, in order of appearance."""
        return tuple(dict.fromkeys(w for visit in (*self.visits, *self.failures) for w in visit.warnings))


@dataclass(frozen=True, slots=True)
class Summary:
    """A point's time in seconds: median over visits, 95 % interval, and where the spread comes from."""

    median_s: float
    low_s: float | None
    """None below three visits: one degree of freedom gives no useful interval."""
    high_s: float | None
    visits: int
    samples: int
    precision: float | None
    """Half-width of the interval over the median."""
    within_spread: float | None
    """Relative standard deviation inside a process, median over visits."""
    between_spread: float | None
    """Relative standard deviation of visit medians."""
    unstable: bool
    """Fewer than five visits, or the precision asked for was not reached."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Incumbent time over challenger time at one length, from paired rounds: above 1 the challenger is faster."""

    length: int
    ratio: float
    low: float | None
    high: float | None
    rounds: int
    paired: bool = True

    @property
    def leader(self) -> Literal["challenger", "incumbent"] | None:
        """Who is significantly faster, None where the interval covers 1 or is not known."""
        if self.low is not None and self.low > 1:
            return "challenger"
        if self.high is not None and self.high < 1:
            return "incumbent"
        return None


class CrossoverState(StrEnum):
    """How the search for a crossover ended."""

    RESOLVED = "resolved"
    NONE_IN_RANGE = "none in range"
    SEVERAL = "several"
    EQUAL = "practically equal"
    UNRESOLVED = "unresolved"
    CENSORED = "censored"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class Flip:
    """One sign change: who leads after it, where it lies, and how sure that is. Lengths in tokens."""

    length: float
    low: float | None
    high: float | None
    bracket: tuple[int, int]
    """Last measured length with one sign and first with the other."""
    significant: tuple[int | None, int | None]
    """Sign bracket free of assumptions: last length with a significant leader before, first with the other after."""
    leader_after: str

    @property
    def half_width(self) -> float:
        """Half the interval over the length; infinity where there is no interval."""
        return math.inf if self.low is None or self.high is None else (self.high - self.low) / 2 / self.length


@dataclass(frozen=True, slots=True)
class Crossover:
    """Where the challenger overtakes the incumbent, as a measured result."""

    challenger: Curve
    incumbent: Curve
    metric: Literal["latency", "peak_memory", "energy"]
    state: CrossoverState
    flips: tuple[Flip, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    range: tuple[int, int] | None = None
    """Shortest and longest length at which both were measured."""
    winner: str | None = None
    """Label of who leads throughout, for `none in range` and `censored`."""
    reason: str | None = None
    """What censored the search, or why nothing can be said."""
    equal_zone: tuple[int, int] | None = None
    warnings: tuple[str, ...] = ()
