"""Pairs of curves whose crossings are known: smooth, wiggly, grainy, stairs, none, two, equal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from builders import make_point
from simulator import Machine, Noise, Pair

from hyenaprof.analysis.crossover import find, more_rounds, next_lengths
from hyenaprof.model import Crossover, CrossoverState

SHORTEST, LONGEST = 1024, 131072
MOST_MEASUREMENTS = 60
GRID = np.exp(np.linspace(math.log(SHORTEST), math.log(LONGEST), 4001))
Ratio = Callable[[np.ndarray], np.ndarray]
"""Log of incumbent over challenger time, by length."""


@dataclass(frozen=True, slots=True)
class CurvePair:
    """True curves.

    Attributes:
        log_ratio: Log of incumbent over challenger time at a length; the challenger leads above 0.
        crossings: Its zeros between 1k and 128k.
    """

    log_ratio: Ratio
    crossings: tuple[float, ...]


def _zeros(ratio: Ratio) -> tuple[float, ...]:
    found = []
    for index in np.flatnonzero(np.diff(np.sign(ratio(GRID)))):
        low, high = GRID[index], GRID[index + 1]
        rising = ratio(np.array([high]))[0] > 0
        for _ in range(40):
            middle = math.sqrt(low * high)
            low, high = (low, middle) if (ratio(np.array([middle]))[0] > 0) == rising else (middle, high)
        found.append(float(high))
    return tuple(found)


def smooth(random: np.random.Generator) -> Ratio:
    """A quadratic operator against a quasi-linear one, each with an overhead; slope 0.3 to 1.2 where they cross."""
    crossing = math.exp(random.uniform(math.log(1300), math.log(100_000)))
    quadratic = random.uniform(0.3, 0.95)
    fixed = random.uniform(0, 0.3) * (1 - quadratic)
    overhead, logarithmic = random.uniform(0, 0.4), random.uniform(0, 0.5)

    def ratio(length: np.ndarray) -> np.ndarray:
        relative = length / crossing
        incumbent = fixed + (1 - quadratic - fixed) * relative + quadratic * relative**2
        logarithm = 1 - logarithmic + logarithmic * np.log(length) / math.log(crossing)
        return np.log(incumbent / (overhead + (1 - overhead) * relative * logarithm))

    return ratio


def wiggles(random: np.random.Generator) -> Ratio:
    """Four sine waves in ln L, of one to four octaves, 1 to 3 % in all: what differs from one length to another."""
    size = random.uniform(0.01, 0.03)
    frequency = 2 * math.pi / random.uniform(0.7, 3.0, 4)
    phase, weight = random.uniform(0, 2 * math.pi, 4), random.normal(size=4)
    weight *= size * math.sqrt(2) / np.linalg.norm(weight)
    return lambda length: np.sin(np.log(length)[..., None] * frequency + phase) @ weight


def grains(random: np.random.Generator) -> Ratio:
    """1.5 % that differs from every length to the next without any order, as sizes good and bad for a kernel do."""
    salt = random.integers(2**31)

    def ratio(length: np.ndarray) -> np.ndarray:
        draws = [np.random.default_rng([salt, round(value)]).standard_normal() for value in np.ravel(length)]
        return 0.015 * np.array(draws).reshape(np.shape(length))

    return ratio


def draw_pair(random: np.random.Generator, *, wiggly: bool) -> CurvePair:
    """A pair that crosses exactly once, and leads clearly at both ends."""
    while True:
        base = smooth(random)
        wiggle = wiggles(random) if wiggly else None

        def ratio(length: np.ndarray, base: Ratio = base, wiggle: Ratio | None = wiggle) -> np.ndarray:
            return base(length) + wiggle(length) if wiggle else base(length)

        crossings = _zeros(ratio)
        ends = ratio(np.array([SHORTEST, LONGEST]))
        if len(crossings) == 1 and ends[0] < -0.03 and ends[1] > 0.05:
            return CurvePair(ratio, crossings)


def draw_grainy(random: np.random.Generator) -> CurvePair:
    """A smooth pair with grains on it; the crossing is that of the smooth part."""
    pair = draw_pair(random, wiggly=False)
    grain = grains(random)
    return CurvePair(lambda length: pair.log_ratio(length) + grain(length), pair.crossings)


def draw_step(random: np.random.Generator) -> CurvePair:
    """An incumbent that takes 15 to 40 % longer past some length, and falls behind at that step."""
    while True:
        base, jump = smooth(random), random.uniform(0.15, 0.4)
        crossing = max(_zeros(base), default=0.0)
        step = 64 * round(crossing * random.uniform(0.9, 0.97) / 64)

        def ratio(length: np.ndarray, base: Ratio = base, jump: float = jump, step: int = step) -> np.ndarray:
            return base(length) + jump * (length > step)

        near = ratio(np.array([step, step + 1.0, SHORTEST, LONGEST]))
        if step > SHORTEST and near[0] < -0.02 and near[1] > 0.05 and near[2] < -0.03 and near[3] > 0.05:
            return CurvePair(ratio, (float(step),))


def draw_stairs(random: np.random.Generator) -> CurvePair:
    """A challenger that pads to powers of two, overtakes in an octave and often falls behind again at the next step.

    Between two crossings somebody leads by 5 % at some length: less than a noisy round can show is no lead.
    """
    while True:
        base = smooth(random)

        def ratio(length: np.ndarray, base: Ratio = base) -> np.ndarray:
            padded = 2.0 ** np.ceil(np.log2(length) - 1e-9)
            return base(length) - 0.9 * np.log(padded / length)

        crossings = _zeros(ratio)
        edges = (SHORTEST, *crossings, LONGEST)
        leads = [np.abs(ratio(np.linspace(low, high, 400))).max() for low, high in pairwise(edges)]
        if crossings and min(leads) > 0.05 and ratio(np.array([SHORTEST]))[0] < -0.03:
            return CurvePair(ratio, crossings)


def draw_never(random: np.random.Generator) -> CurvePair:
    """The incumbent leads throughout, by at least 5 %."""
    while True:
        base, shift = smooth(random), random.uniform(0.05, 1.0)
        top = float(base(GRID).max())
        pair = CurvePair(lambda length, base=base, top=top, shift=shift: base(length) - top - shift, ())
        if not _zeros(pair.log_ratio):
            return pair


def draw_twice(random: np.random.Generator) -> CurvePair:
    """The challenger overtakes and falls behind again, two octaves or more later."""
    first = random.uniform(math.log(1500), math.log(16_000))
    last = first + random.uniform(2 * math.log(2), 4 * math.log(2))
    while last > math.log(110_000):
        last = first + random.uniform(2 * math.log(2), 3 * math.log(2))
    height = random.uniform(0.1, 0.4)

    def ratio(length: np.ndarray) -> np.ndarray:
        return height * (np.log(length) - first) * (last - np.log(length))

    return CurvePair(ratio, _zeros(ratio))


def draw_equal(random: np.random.Generator) -> CurvePair:
    """Less than 1 % between the two, everywhere."""
    wave, level = wiggles(random), random.uniform(-0.003, 0.003)
    return CurvePair(lambda length: level + 0.2 * wave(length), ())


def search(pair: CurvePair, noise: Noise, random: np.random.Generator, *, refine: bool = True) -> tuple[Crossover, int]:
    """Measures as the sweep does: three rounds at every doubling, then five at each length that bisection asks for.

    Where noise still hides who leads, single rounds follow until it does not, or to sixty measurements in all.

    Returns:
        The crossover found, and the number of paired measurements.
    """

    def ours(length: int) -> float:
        return 1e-6 * length

    def theirs(length: int) -> float:
        return 1e-6 * length * math.exp(float(pair.log_ratio(np.array([float(length)]))[0]))

    sides = ((make_point("hyena"), ours), (make_point("flash"), theirs))
    measured = Pair(Machine(noise, random), sides)
    length = SHORTEST
    while length <= LONGEST:
        measured.measure(length, 3)
        length *= 2
    found = find(*measured.records())
    while refine and (wanted := next_lengths(found)):
        for length in wanted:
            measured.measure(length, 5)
        found = find(*measured.records())
    while refine and found.state is CrossoverState.UNRESOLVED and measured.measurements < MOST_MEASUREMENTS:
        for length in more_rounds(found, precision=1.0):
            if measured.measurements < MOST_MEASUREMENTS:
                measured.measure(length, 1)
        found = find(*measured.records())
    return found, measured.measurements
