"""What a device is: a clock with starts and stops, a cache to flush, memory to count, a state to read."""

from __future__ import annotations

import resource
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

import torch

from hyenaprof.devices import DEVICES
from hyenaprof.errors import DeviceError, Unsupported, did_you_mean
from hyenaprof.model import Cost, DeviceState, FactValue, Point, Shape

Step = Callable[[], None]
"""One timed piece of an iteration: the forward pass, or the backward pass."""
MARGIN_BYTES = 2 * 1024**3
"""Memory left to the rest of the machine: a point may never take the last of it."""


@dataclass(frozen=True, slots=True)
class Spans:
    """What a timer read, one entry a step."""

    device_s: tuple[float, ...]
    """Seconds of each step on the device's clock."""
    host_s: float | None
    """Seconds until the host had launched all steps; None where host and device are one."""


class Timer(ABC):
    """Reads the device's clock at the start and the stop of each step; what lies between steps is not counted."""

    @abstractmethod
    def start(self) -> None:
        """Begins a step."""

    @abstractmethod
    def stop(self) -> None:
        """Ends the step begun last."""

    @abstractmethod
    def spans(self) -> Spans:
        """Waits for the device and gives the seconds of every step."""


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """What one untimed pass allocated and ran."""

    peak_bytes: tuple[int, ...]
    """Highest allocation during each step, less what was allocated before the first."""
    method: str
    dispatched: tuple[str, ...]
    """All operators, or on a GPU kernels before operators, by their own time, longest first."""


@dataclass(frozen=True, slots=True)
class Load:
    """Counters read before and after the samples, for what other processes did meanwhile."""

    cpu_s: float
    """CPU seconds of this process, all threads."""
    busy_s: float | None = None
    """CPU seconds of everybody on the CPUs this process may use."""
    stalled_s: float | None = None
    """Seconds during which some process waited for a CPU (/proc/pressure/cpu)."""


class Device(ABC):
    """A device of one kind.

    Args:
        index: Which one of several; None for the first.

    Raises:
        DeviceError: It is not there.
    """

    kind: ClassVar[str]
    clock: str
    """Name of the clock that times are read from."""
    asynchronous: ClassVar[bool] = False
    """Whether the host runs ahead of the device, so that host time stands beside device time."""

    meters_warm: ClassVar[bool] = False
    """Whether memory is read on a second call, because the first also allocates library workspaces that stay."""

    def __init__(self, index: int | None = None) -> None:
        if index:
            raise DeviceError(f"no device {self.kind}:{index}", hint=f"there is one device of kind {self.kind}")

    @property
    def torch_device(self) -> torch.device:
        """Where tensors are made."""
        return torch.device("cpu")

    def settle(self, threads: int) -> None:  # noqa: B027 -- not every kind needs it
        """Is told how many CPU threads the run has, before anything is timed."""

    @abstractmethod
    def timer(self) -> Timer:
        """A timer for one sample."""

    def now_s(self) -> float:
        """The clock by which samples are placed in time, in seconds from an arbitrary start."""
        return time.perf_counter()

    def synchronize(self) -> None:  # noqa: B027 -- not every kind needs it
        """Waits until all work given to the device is done."""

    def usable(self) -> bool:
        """Whether this process can still use the device, after something went wrong on it."""
        return True

    def flush_cache(self) -> None:  # noqa: B027 -- not every kind needs it
        """Empties the cache that a real caller would find cold; nothing where a call's own traffic does that."""

    def fill_queue(self, duration_s: float) -> None:  # noqa: B027 -- not every kind needs it
        """Keeps the device busy while the host launches the next sample, at least `duration_s` seconds."""

    def capture(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """Gives the steps as replays of a recorded graph.

        Raises:
            Unsupported: The device has no graphs, or the steps cannot be captured.
        """
        raise Unsupported(f"--cuda-graph: the device kind {self.kind} has no graphs (steps: {len(steps)})")

    def enact(
        self,
        step: Step,
        point: Point | None,  # noqa: ARG002 -- for the fake device to use
        cost: Cost,  # noqa: ARG002
        *,
        round_index: int,  # noqa: ARG002
    ) -> Step:
        """Gives the step as it is to be run; only the fake device replaces it.

        Args:
            step: What runs.
            point: Whose step it is; None for a ceiling.
            cost: What it has to do.
            round_index: The round of the visit.
        """
        return step

    def materialise(self, shape: Shape) -> Shape:
        """The shape of the tensors really made; only the fake device shrinks it."""
        return shape

    def extent(self, size: int) -> int:
        """The extent of a ceiling's tensor that is really made; likewise."""
        return size

    def warm_memory(self, need_bytes: float) -> None:  # noqa: B027 -- not every kind needs it
        """Makes memory for a call present, so that its first touch is in no sample."""

    def release(self) -> None:  # noqa: B027 -- not every kind needs it
        """Gives cached memory back, so that the next worker finds it free."""

    @abstractmethod
    def meter(self, steps: Sequence[Step]) -> MemoryReading:
        """Runs the steps once, untimed, and gives the peak of allocated memory above what stood before."""

    @abstractmethod
    def available_bytes(self) -> int:
        """Bytes that a point may take, the margin already off."""

    @abstractmethod
    def describe(self) -> dict[str, FactValue]:
        """Stable facts about the device for the fingerprint; no serial number, no name of a host."""

    def software(self) -> dict[str, FactValue]:
        """Versions of what drives the device."""
        return {}

    def state(self) -> DeviceState | None:
        """Clocks, power, temperature and throttling now; None where nothing of it can be read."""
        return None

    def energy_j(self) -> float | None:
        """The device's energy counter in joules, None where it has none."""
        return None

    def preemptions(self) -> int | None:
        """How often this process has been preempted so far; None where it does not matter to the times."""
        return None

    def load(self) -> Load:
        """Counters from which contention is told."""
        return Load(cpu_s=process_cpu_s())

    def cautions(self, point: Point) -> tuple[str, ...]:  # noqa: ARG002 -- for kinds to override
        """What a user should know of a point before it is measured, because it may take long."""
        return ()

    def warnings(self) -> tuple[str, ...]:
        """What a user should know about this device before measuring on it."""
        return ()


def process_cpu_s() -> float:
    """CPU seconds of this process so far, user and system, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resolve(text: str) -> Device:
    """Gives the device for `auto`, a kind, or a kind with an index: `cuda:1`.

    Raises:
        DeviceError: No such kind, or it is not there.
    """
    kind, _, index = text.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind not in DEVICES:
        raise DeviceError(f"no device kind {kind!r}", hint=did_you_mean(kind, ("auto", *DEVICES)))
    if index and not index.isdecimal():
        raise DeviceError(f"device index {index!r} is not a whole number", hint=f"write {kind}:0")
    module, _, name = DEVICES[kind].partition(":")
    device: Device = getattr(import_module(module), name)(int(index) if index else None)
    return device
