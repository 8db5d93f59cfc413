"""How far off a right implementation may be: one table by scope and dtype, and what was measured to choose it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hyenaprof.model import CheckEntry, DType, Point, Scope


class Tolerance(NamedTuple):
    """The largest errors that pass."""

    values: float
    sums: float
    """For gradients that sum terms over the length which cancel: those of weights, and attention's in core scope."""


TOLERANCES: dict[tuple[Scope, DType], Tolerance] = {
    # Core: one transform or one softmax rounds to some 1e-7 of the largest value, at 1M as at 1k. Sums lose more: torch's
    # flash kernel 2e-6 in dq at any length, its conv1d 2e-6 in dweight at 16k and 3e-5 at 1M, one term after the other.
    (Scope.CORE, DType.FLOAT64): Tolerance(1e-12, 1e-11),
    (Scope.CORE, DType.FLOAT32): Tolerance(1e-6, 1e-4),
    # Layer: three sines of 14 x in Hyena's filter magnify float32 rounding to 2e-5 in the plain implementation itself.
    # A gradient that its inputs' rounding alone moves further than most is held to that: see ROUNDINGS.
    (Scope.LAYER, DType.FLOAT64): Tolerance(1e-11, 1e-11),
    (Scope.LAYER, DType.FLOAT32): Tolerance(1e-4, 1e-4),
    # 16 bits: every activation is rounded on its way, by 5e-4 in float16 and by 4e-3 in bfloat16; where few channels are
    # compared, the largest sum may be small beside its rounded terms (2.0e-2 met with 8 channels in bfloat16).
    (Scope.CORE, DType.FLOAT16): Tolerance(4e-3, 1.2e-2),
    (Scope.CORE, DType.BFLOAT16): Tolerance(2e-2, 6e-2),
    (Scope.LAYER, DType.FLOAT16): Tolerance(4e-3, 1.2e-2),
    (Scope.LAYER, DType.BFLOAT16): Tolerance(2e-2, 6e-2),
}

OVER_PLAIN = 2.0
"""How far a layer may be off, in errors of the operator's plain implementation: faster is no excuse for worse."""

LEAST_OF_TABLE = 0.1
LEAST_OF_TABLE_16_BITS = 0.5
"""Shares of the table's tolerance that always pass: below, which of two errors is larger is chance. In float32 no gradient
of hyena:chunked was beyond 1.06 times the plain one's (160 draws of 16 quantities); in 16 bits, where each rounds other
numbers, one in 200 was beyond twice, at up to 0.38 of the table."""

ROUNDINGS = 8.0
"""How far a float32 layer's gradient may be off, in what one rounding of every input moves it by: its own condition.

Hyena's filter network with sines of 14 x turns a rounding of 6e-8 into 1.5e-5 of a gradient's largest value in float64
arithmetic already; which value is largest, among few channels, is chance. hyena:fft in float32 against float64, 200 seeds
each of an output and 15 gradients, sines of 14 x (with sines of x the largest is 2e-6; `benchmarks/rounding.py`):

    width  batch  length  order  median error  largest error  beyond 1e-4  largest in roundings
        8      2      40      2       1.4e-05        1.1e-04    1 of 3200                   5.4
        8      2     127      2       1.8e-05        1.3e-04    1 of 3200                   6.1
       24      1      33      2       1.3e-05        1.9e-04    2 of 3200                   5.7
       24      3      64      2       1.5e-05        1.2e-04    2 of 3200                   4.8
       24      2      47      3       1.8e-05        9.3e-05    0 of 3200                   5.6
       16      2     127      4       2.8e-05        1.7e-04    2 of 3200                   6.0
       64      2     127      2       1.7e-05        6.5e-05    0 of 3200                   6.5

So 1e-4 stays, and what lies beyond it is told from a fault by its condition. Root mean squares in place of largest values
change little (9.4e-5 for 1.3e-4): not the measure is at fault, nor cancellation in one sum.
"""

MOST_OF_TABLE = 5.0
"""No condition excuses an error beyond so many of the table's tolerances: 5e-4 of a gradient's largest value. 1 % of one
channel's gradient is beyond that where this channel's largest value is at least 5 % of the gradient's, as a middling
channel's is; in a weaker channel an ill-conditioned gradient may hide it, as the table itself hides it below 1 %.

At length, two float32 implementations are compared with each other and no condition is needed: they round mostly in the
same places. Against hyena:fft, hyena:chunked was off by at most 3.1e-6 (1177 seeds of 16 quantities, lengths 1021 and
4099, widths 8 to 24, orders 2 and 4, on a CPU) and hyena:native by 3.8e-6 (471 seeds, widths 8 and 16), where float64 was
up to 2.5e-4 away from both. hyena:compiled was compared in three draws only (1.7e-6), and nothing on a GPU.
"""


def tolerance_of(point: Point) -> Tolerance:
    """The largest errors that pass, by scope and dtype; a block is held to what a layer is."""
    return TOLERANCES[Scope.CORE if point.scope is Scope.CORE else Scope.LAYER, point.dtype]


def least_of_table(point: Point) -> float:
    """The share of the table's tolerance that always passes."""
    return LEAST_OF_TABLE if point.dtype.itemsize_bytes >= 4 else LEAST_OF_TABLE_16_BITS


def may_be_rounding(*sides: Iterable[CheckEntry]) -> frozenset[str]:
    """Gradients that are red on any side by so little that their condition may be why."""
    return frozenset(
        entry.quantity
        for side in sides
        for entry in side
        if entry.error is not None
        and entry.quantity.startswith("gradient of ")
        and entry.tolerance < entry.error <= MOST_OF_TABLE * entry.tolerance
    )


def allowed(
    entries: Iterable[CheckEntry], *, plain: Iterable[CheckEntry], moves: Mapping[str, float], least: float
) -> list[CheckEntry]:
    """Entries with the tolerances they are judged by: the table's, widened by condition, narrowed by the plain one.

    Args:
        entries: What is judged, with the table's tolerances.
        plain: The same of the plain implementation; empty where it is the one that is judged, or does not run.
        moves: How far one rounding of every input moves a gradient, as an error; of those in `may_be_rounding` alone. One
            that is red on one side is widened on both: which of two alike errors lies beyond the table is chance.
        least: Share of the table's tolerance that no plain implementation narrows.
    """
    limits = {
        entry.quantity: max(OVER_PLAIN * entry.error, least * entry.tolerance)
        for entry in plain
        if entry.error is not None
    }

    def limit(entry: CheckEntry) -> float:
        condition = min(MOST_OF_TABLE * entry.tolerance, ROUNDINGS * moves.get(entry.quantity, 0.0))
        own = max(entry.tolerance, condition)
        return min(own, limits.get(entry.quantity, own))

    return [entry.model_copy(update={"tolerance": limit(entry)}) for entry in entries]
