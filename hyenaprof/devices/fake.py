"""A device for whole-program tests: a virtual clock that each call moves on by its analytic cost, times seeded noise.

The operator really runs, once, on a shape cut short, so that its code is exercised and nothing big is allocated. Knobs
come as one JSON object in the environment variable HYENAPROF_FAKE, read when the device is made.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeVar

import torch
from pydantic import Field, ValidationError

from hyenaprof.devices.base import Device, MemoryReading, Spans, Step, Timer
from hyenaprof.errors import DeviceError
from hyenaprof.model import Cost, DeviceState, FactValue, OnDisk, Point, Shape

VARIABLE = "HYENAPROF_FAKE"
_GIB = 1024**3


class Rate(OnDisk):
    """How fast one operator or implementation runs."""

    flops_per_s: float = Field(default=2e12, gt=0)
    bytes_per_s: float = Field(default=1e12, gt=0)
    launch_s: float = Field(default=20e-6, ge=0)
    power_w: float = Field(default=100.0, gt=0)


class Fault(OnDisk):
    """What goes wrong with one operator or implementation from a length on."""

    kind: Literal["oom", "crash", "abort", "hang"]
    from_length: int = 1


class Knobs(OnDisk):
    """What a test may set; noises are standard deviations of the logarithm of a time."""

    seed: int = 0
    noise: float = Field(default=0.006, ge=0)
    """From sample to sample."""
    process_noise: float = Field(default=0.006, ge=0)
    """From one visit's process to another's."""
    round_noise: float = Field(default=0.004, ge=0)
    """From round to round, shared by both sides of a round."""
    memory_bytes: int = Field(default=16 * _GIB, gt=0)
    rates: dict[str, Rate] = Field(default={"hyena": Rate(flops_per_s=6e11)})
    """By operator (`hyena`) or implementation (`hyena:fft`, which goes first)."""
    faults: dict[str, Fault] = Field(default={})
    """Likewise."""
    energy_counter: bool = False
    """Whether the device counts energy: the power of whatever runs, times its virtual seconds."""
    name: str = "fake"
    """The machine's name in the fingerprint, to make another machine of it."""


_Set = TypeVar("_Set", Rate, Fault)


def _of(table: dict[str, _Set], point: Point | None) -> _Set | None:
    if point is None:
        return None
    named = table.get(f"{point.operator}:{point.implementation}")
    return named if named is not None else table.get(point.operator)


@dataclass(slots=True)
class _Clock:
    now_ns: int = 0
    """Whole nanoseconds, so that a difference does not depend on how late it is."""
    energy_j: float = 0.0
    """Joules spent so far."""


class _VirtualTimer(Timer):
    def __init__(self, clock: _Clock) -> None:
        self._clock = clock
        self._marks: list[int] = []

    def start(self) -> None:
        self._marks.append(self._clock.now_ns)

    def stop(self) -> None:
        self._marks.append(self._clock.now_ns)

    def spans(self) -> Spans:
        pairs = zip(self._marks[::2], self._marks[1::2], strict=True)
        return Spans(device_s=tuple((stop - start) * 1e-9 for start, stop in pairs), host_s=None)


@dataclass(slots=True)
class FakeStep:
    """A step that runs for real the first time and then only moves the clock."""

    step: Step
    clock: _Clock
    typical_s: float
    power_w: float
    noise: float
    random: random.Random
    point: Point | None
    cost: Cost
    ran: bool = field(default=False)

    def __call__(self) -> None:
        """One call."""
        if not self.ran:
            self.step()
            self.ran = True
        lasted_s = self.typical_s * math.exp(self.random.gauss(0.0, self.noise))
        self.clock.now_ns += round(1e9 * lasted_s)
        self.clock.energy_j += self.power_w * lasted_s


class Fake(Device):
    """The device kind `fake`.

    Raises:
        DeviceError: HYENAPROF_FAKE holds something it does not know.
    """

    kind = "fake"
    clock = "virtual"
    meters_warm = True
    longest: ClassVar[int] = 32
    """Tokens that are really made, one more for an odd length."""

    def __init__(self, index: int | None = None) -> None:
        super().__init__(index)
        try:
            self.knobs = Knobs.model_validate_json(os.environ.get(VARIABLE, "{}"))
        except ValidationError as error:
            raise DeviceError(f"{VARIABLE}: {error.errors()[0]['msg']}", hint="it is one JSON object") from error
        self._clock = _Clock()

    def timer(self) -> Timer:
        """The virtual clock."""
        return _VirtualTimer(self._clock)

    def now_s(self) -> float:
        """Virtual seconds since the device was made."""
        return self._clock.now_ns * 1e-9

    def enact(self, step: Step, point: Point | None, cost: Cost, *, round_index: int) -> Step:
        """The step with its analytic time, or with the fault that was ordered for it."""
        fault = self._fault(point, cost)
        if fault is not None:
            return lambda: _fail(fault)
        length, label, key = (point.shape.length, point.label, point.id) if point else (0, "", cost.source)
        drift = self._random("round", round_index, length).gauss(0.0, self.knobs.round_noise)
        process = self._random("process", round_index, label).gauss(0.0, self.knobs.process_noise)
        return FakeStep(
            step=step,
            clock=self._clock,
            typical_s=self.typical_s(point, cost) * math.exp(drift + process),
            power_w=(_of(self.knobs.rates, point) or Rate()).power_w,
            noise=self.knobs.noise,
            random=self._random("samples", round_index, key),
            point=point,
            cost=cost,
        )

    def _fault(self, point: Point | None, cost: Cost) -> Fault | None:
        fault = _of(self.knobs.faults, point)
        if fault is not None and point is not None and point.shape.length >= fault.from_length:
            return fault
        return Fault(kind="oom") if cost.need_bytes > self.knobs.memory_bytes else None

    def typical_s(self, point: Point | None, cost: Cost) -> float:
        """Seconds of one call without noise."""
        rate = _of(self.knobs.rates, point) or Rate()
        return cost.flops / rate.flops_per_s + cost.bytes / rate.bytes_per_s + rate.launch_s

    def _random(self, *key: str | int) -> random.Random:
        digest = hashlib.sha256(json.dumps([self.knobs.seed, *key]).encode()).digest()
        return random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311 -- noise, not secrets

    def materialise(self, shape: Shape) -> Shape:
        """A short sequence of the same oddness, one batch, at most two heads of the same dimension."""
        length = shape.length if shape.length <= self.longest else self.longest + shape.length % 2
        heads = min(shape.heads, 2)
        return Shape(batch=1, length=length, heads=heads, width=heads * shape.head_dimension)

    def extent(self, size: int) -> int:
        """At most as long as a sequence."""
        return min(size, self.longest)

    def meter(self, steps: Sequence[Step]) -> MemoryReading:
        """Runs the steps and gives the analytic need less the activations and weights that are inputs."""
        for step in steps:
            step()
        peaks = tuple(_peak(step) if isinstance(step, FakeStep) else 0 for step in steps)
        return MemoryReading(peak_bytes=peaks, method="analytic (fake device)", dispatched=())

    def available_bytes(self) -> int:
        """The knob `memory_bytes`."""
        return self.knobs.memory_bytes

    def describe(self) -> dict[str, FactValue]:
        """A machine that is none."""
        return {"cpu": self.knobs.name, "memory_gib": round(self.knobs.memory_bytes / _GIB)}

    def energy_j(self) -> float | None:
        """Joules spent so far, where the knob `energy_counter` gives it a counter."""
        return self._clock.energy_j if self.knobs.energy_counter else None

    def state(self) -> DeviceState:
        """A clock that never moves."""
        return DeviceState(clock_mhz=1000.0)


def _peak(step: FakeStep) -> int:
    if step.point is None:
        return 0
    shape = step.point.shape
    elements = shape.batch * shape.length * shape.width + step.cost.parameters
    return max(0, round(step.cost.need_bytes - elements * step.point.dtype.itemsize_bytes))


def _fail(fault: Fault) -> None:
    match fault.kind:
        case "oom":
            raise torch.OutOfMemoryError("fake device out of memory")
        case "crash":
            raise RuntimeError("fault ordered of the fake device")
        case "abort":
            os.abort()
        case "hang":
            while True:
                pass
