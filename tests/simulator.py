"""Simulates what a machine would measure: visits whose truth is known, with the noise of four kinds of machine.

The profiles are of a locked and a boosting GPU, shared CI runners and a busy host; they are modelled, not recorded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hyenaprof.model import Outcome, Point, Record, Visit

AUTOCORRELATION = 0.3
OUTLIER_SHARE, OUTLIER = 0.05, 0.30
THROTTLED_SHARE = 0.05
"""Share of rounds in which the machine is throttled."""
FINGERPRINT_ID = "0123456789ab"


@dataclass(frozen=True, slots=True)
class Noise:
    """Relative standard deviations of a machine's noise.

    Attributes:
        within: From sample to sample of a visit, autocorrelated by 0.3; one sample in twenty is 30 % longer.
        process: From process to process.
        drift: From round to round, shared by all sides of a round, autocorrelated by 0.3.
        throttle: How much longer everything takes in one round of twenty.
    """

    within: float
    process: float
    drift: float
    throttle: float = 0.0


LOCKED_GPU = Noise(0.006, 0.006, 0.004)
BOOSTING_GPU = Noise(0.01, 0.01, 0.01, 0.04)
SHARED_CI = Noise(0.04, 0.025, 0.03, 0.10)
HOST = Noise(0.02, 0.05, 0.015)
PROFILES = {"locked GPU": LOCKED_GPU, "boosting GPU": BOOSTING_GPU, "shared CI": SHARED_CI, "host": HOST}


def round_noise(deviation: float) -> Noise:
    """Noise whose log ratio of two visit medians has this standard deviation from round to round, drift on top."""
    within = deviation / 2
    # The median of five samples autocorrelated by 0.3 spreads 0.62 times as much as a sample (simulated).
    return Noise(within, math.sqrt(deviation**2 / 2 - (0.62 * within) ** 2), deviation)


@dataclass(slots=True)
class Machine:
    """A machine that measures: each round has its state, each visit its process.

    Attributes:
        noise: How noisy it is.
        random: Where all its chance comes from.
    """

    noise: Noise
    random: np.random.Generator
    _rounds: dict[object, float] = field(default_factory=dict)
    _drift: float = 0.0

    def visit(self, point: Point, truth_s: float, number: int, *, order: int = 0, samples: int = 5) -> Visit:
        """One visit in a round of a length; all sides of it share the machine's state."""
        state = self._state((point.shape.length, number))
        process = self.noise.process * self.random.standard_normal()
        latency_s = truth_s * np.exp(state + process + self._samples(samples))
        return Visit(
            point=point,
            round=abs(number),
            order=order,
            outcome=Outcome.OK,
            latency_s=tuple(latency_s.tolist()),
            started_at=1_750_000_000.0 + 10.0 * number + order,
            fingerprint_id=FINGERPRINT_ID,
        )

    def _state(self, key: object) -> float:
        if key not in self._rounds:
            fresh = math.sqrt(1 - AUTOCORRELATION**2) * self.random.standard_normal()
            self._drift = AUTOCORRELATION * self._drift + fresh
            throttled = math.log1p(self.noise.throttle) if self.random.random() < THROTTLED_SHARE else 0.0
            self._rounds[key] = self.noise.drift * self._drift + throttled
        return self._rounds[key]

    def _samples(self, count: int) -> np.ndarray:
        fresh = self.random.standard_normal(count) * math.sqrt(1 - AUTOCORRELATION**2)
        value = self.random.standard_normal()
        noise = np.empty(count)
        for index in range(count):
            value = AUTOCORRELATION * value + fresh[index]
            noise[index] = value
        outliers = self.random.random(count) < OUTLIER_SHARE
        return self.noise.within * noise + math.log1p(OUTLIER) * outliers


def record_of(point: Point, visits: list[Visit]) -> Record:
    """The record that a journal with these visits would give."""
    return Record(FINGERPRINT_ID, point, Outcome.OK, None, tuple(visits))


Time = Callable[[int], float]
"""Seconds of one call at a length."""


@dataclass(slots=True)
class Pair:
    """Two curves measured side by side in paired rounds.

    Attributes:
        machine: What measures.
        sides: Point and true time of the challenger, then of the incumbent; the points' lengths do not matter.
        measurements: Paired measurements made so far.
    """

    machine: Machine
    sides: tuple[tuple[Point, Time], tuple[Point, Time]]
    measurements: int = 0
    _visits: tuple[dict[int, list[Visit]], dict[int, list[Visit]]] = field(default_factory=lambda: ({}, {}))

    def measure(self, length: int, rounds: int) -> None:
        """Adds paired rounds at a length, order alternating."""
        done = len(self._visits[0].get(length, ()))
        for number in range(done, done + rounds):
            for place, (point, time_s) in enumerate(self.sides):
                visit = self.machine.visit(point.at(length), time_s(length), number, order=(place + number) % 2)
                self._visits[place].setdefault(length, []).append(visit)
        self.measurements += rounds

    def records(self) -> tuple[list[Record], list[Record]]:
        """What has been measured of the challenger and of the incumbent."""
        challenger, incumbent = (
            [record_of(visits[0].point, visits) for visits in side.values()] for side in self._visits
        )
        return challenger, incumbent
