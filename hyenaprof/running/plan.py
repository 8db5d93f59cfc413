"""A scenario expanded: every iteration that could be measured, paired by length, cheapest first."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.records.scenario import Scenario
from hyenaprof.running.workers import Side


@dataclass(frozen=True, slots=True)
class Setting:
    """What all sides of a pairing share, but for the length."""

    scope: Scope
    batch: int
    width: int
    heads: int
    dtype: DType


@dataclass(frozen=True, slots=True)
class Iteration:
    """One side at one length: the points that are read from the same calls (backward and training are one)."""

    side: Side
    points: tuple[Point, ...]

    @property
    def length(self) -> int:
        """Sequence length in tokens."""
        return self.points[0].shape.length

    @property
    def with_gradients(self) -> bool:
        """Whether a call runs the backward pass."""
        return self.points[0].phase.has_gradients

    @property
    def call_point(self) -> Point:
        """The point whose phase is the whole call: forward, training or decode."""
        return self.points[0].reading(Phase.TRAINING) if self.with_gradients else self.points[0]

    def __str__(self) -> str:
        """`hyena:fft training L=8192`, naming every phase read."""
        phases = "+".join(point.phase for point in self.points)
        return f"{self.points[0].label} {phases} L={self.length}"


@dataclass(frozen=True, slots=True)
class Pairing:
    """All sides of one iteration at one length and setting: what a round visits together."""

    setting: Setting
    length: int
    iterations: tuple[Iteration, ...]


def settings_of(scenario: Scenario, dtypes: Sequence[DType]) -> tuple[Setting, ...]:
    """Every combination of batch, width, heads and dtype, in the order given."""
    return tuple(
        Setting(scenario.scope, batch, width, heads, dtype)
        for batch, width, dtype in itertools.product(scenario.batch, scenario.width, dtypes)
        for heads in scenario.heads_of(width)
    )


def dtypes_on(device: str, scenario: Scenario) -> tuple[DType, ...]:
    """The scenario's dtypes, each once: `auto` is float32 on a CPU, bfloat16 elsewhere.

    Args:
        device: The device's kind.
        scenario: Whose dtypes.
    """
    auto = DType.FLOAT32 if device == "cpu" else DType.BFLOAT16
    return tuple(dict.fromkeys(auto if dtype == "auto" else DType(dtype) for dtype in scenario.dtype))


def phase_groups(phases: Iterable[Phase]) -> tuple[tuple[Phase, ...], ...]:
    """Phases that are read from one iteration, the cheaper iteration first."""
    chosen = tuple(dict.fromkeys(phases))
    alone = tuple((phase,) for phase in chosen if not phase.has_gradients)
    paired = tuple(phase for phase in chosen if phase.has_gradients)
    return (*alone, paired) if paired else alone


def pairings_at(
    length: int, scenario: Scenario, *, sides: Sequence[Side], dtypes: Sequence[DType], device: str
) -> tuple[Pairing, ...]:
    """All pairings at one length.

    Args:
        length: Sequence length in tokens.
        scenario: Whose settings and phases.
        sides: In the order in which they are shown.
        dtypes: The scenario's, `auto` resolved.
        device: The device's kind.
    """
    return tuple(
        Pairing(
            setting,
            length,
            tuple(
                Iteration(side, tuple(_point(side, setting, phase, length, scenario.seed, device) for phase in phases))
                for side in sides
            ),
        )
        for setting in settings_of(scenario, dtypes)
        for phases in phase_groups(scenario.phases)
    )


def _point(side: Side, setting: Setting, phase: Phase, length: int, seed: int, device: str) -> Point:  # noqa: PLR0917 -- the fields of a Point
    return Point(
        operator=side.operator,
        implementation=side.implementation,
        scope=setting.scope,
        phase=phase,
        shape=Shape(batch=setting.batch, length=length, width=setting.width, heads=setting.heads),
        dtype=setting.dtype,
        device=device,
        seed=seed,
        options=side.options,
    )
