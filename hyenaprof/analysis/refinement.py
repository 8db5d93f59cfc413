"""Where to measure next, so that a crossover becomes sharper: new lengths by bisection, or more rounds."""

from __future__ import annotations

import math

from hyenaprof.model import Crossover, CrossoverState, Flip
from hyenaprof.units import MAX_LENGTH

FINEST_OCTAVES = 1.5 / 16
"""Four bisections of an octave, with room for the rounding to permitted lengths."""
CROWD = 7
"""Lengths within half an octave of a sign change, no other between, at which bisection gives up: it chases noise."""
HALF_OCTAVE = math.sqrt(2)
AROUND = 4
"""Lengths around a sign change that more rounds are spent on."""


def next_lengths(crossover: Crossover, *, multiple: int = 64) -> tuple[int, ...]:
    """Lengths at which to measure next, five rounds each; empty when every sign change is bracketed closely enough.

    Each change of sign is bisected four times an octave. When that is done, the length just above the next power of two
    is asked for: an operator that pads to powers of two steps there, and a doubling grid never sees it.

    Args:
        crossover: What is known so far.
        multiple: Lengths are multiples of this, or of a smaller power of two where a bracket is too short for one.
    """
    wanted: list[int] = []
    flips = crossover.flips if crossover.state is not CrossoverState.EQUAL else ()
    before = [0, *(flip.bracket[1] for flip in flips)]
    after = [*(flip.bracket[0] for flip in flips[1:]), MAX_LENGTH]
    for flip, first, last in zip(flips, before, after, strict=False):
        low, high = flip.bracket
        middle = _middle(low, high, multiple)
        if _crowd(crossover, max(flip.length / HALF_OCTAVE, first), min(flip.length * HALF_OCTAVE, last)) >= CROWD:
            continue
        if math.log2(high / low) > FINEST_OCTAVES and low < middle < high:
            wanted.append(middle)
        elif (above := _above_step(crossover, flip, multiple)) is not None:
            wanted.append(above)
    return tuple(dict.fromkeys(wanted))


def _crowd(crossover: Crossover, low: float, high: float) -> int:
    return sum(low <= comparison.length <= high for comparison in crossover.comparisons)


def _middle(low: int, high: int, multiple: int) -> int:
    step = multiple
    while step > 1 and high - low < 2 * step:
        step //= 2
    return round(math.sqrt(low * high) / step) * step


def _above_step(crossover: Crossover, flip: Flip, multiple: int) -> int | None:
    step = int(2 ** math.ceil(math.log2(flip.length)))
    measured = [comparison.length for comparison in crossover.comparisons]
    if step not in measured or step == measured[-1] or any(step < length <= 1.1 * step for length in measured):
        return None
    return step + min(multiple, max(step // 16, 1))


def more_rounds(crossover: Crossover, *, precision: float) -> tuple[int, ...]:
    """Measured lengths at which another round would sharpen the crossover most; empty when it is sharp enough.

    Asked for when `next_lengths` has nothing left. Where noise hides who leads, the lengths without a clear leader;
    where a crossover's interval is too wide, the four lengths around it.

    Args:
        crossover: What is known so far.
        precision: Relative half-width of a crossover's interval that counts as reached.
    """
    if crossover.state is CrossoverState.UNRESOLVED:
        return tuple(comparison.length for comparison in crossover.comparisons if comparison.leader is None)
    wide = [flip for flip in crossover.flips if flip.half_width > precision]
    chosen = {length for flip in wide for length in _around(crossover, flip)}
    return tuple(sorted(chosen))


def _around(crossover: Crossover, flip: Flip) -> list[int]:
    lengths = [comparison.length for comparison in crossover.comparisons]
    return sorted(lengths, key=lambda length: abs(math.log(length / flip.length)))[:AROUND]
