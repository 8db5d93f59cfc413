"""A device whose every reading is written down beforehand: the engine's rules without a clock."""

from __future__ import annotations

import itertools

from hyenaprof.devices.base import Device, Load, MemoryReading, Spans, Timer
from hyenaprof.model import DeviceState


class ScriptedTimer(Timer):
    def __init__(self, device):
        self.device = device
        self.steps = []

    def start(self):
        self.device.log.append("start")

    def stop(self):
        self.device.log.append("stop")
        self.steps.append(next(self.device.durations))
        self.device.seconds += self.steps[-1]

    def spans(self):
        self.device.log.append("read")
        return Spans(tuple(self.steps), self.device.host_s)


IDLE = Load(cpu_s=0.0)


class Scripted(Device):
    """Durations come from an iterator; preemptions, states, loads and joules likewise, the last one repeated for ever."""

    kind = "cpu"
    clock = "script"

    def __init__(
        self,
        durations,
        *,
        preemptions=(0,),
        states=(None,),
        loads=(IDLE,),
        joules=(None,),
        host_s=None,
        asynchronous=False,
    ):
        super().__init__()
        self.durations = iter(durations)
        self.asynchronous = asynchronous
        self.host_s = host_s
        self.seconds = 0.0
        self.log = []
        self.spun_s = []
        self._readings = {
            "preemptions": endless(preemptions),
            "state": endless(states),
            "load": endless(loads),
            "energy": endless(joules),
        }

    def timer(self):
        return ScriptedTimer(self)

    def now_s(self):
        return self.seconds

    def flush_cache(self):
        self.log.append("flush")

    def fill_queue(self, duration_s):
        self.spun_s.append(duration_s)

    def synchronize(self):
        self.log.append("wait")

    def preemptions(self):
        return next(self._readings["preemptions"])

    def state(self):
        return next(self._readings["state"])

    def load(self):
        return next(self._readings["load"])

    def energy_j(self):
        return next(self._readings["energy"])

    def meter(self, steps):
        for step in steps:
            step()
        return MemoryReading((0,) * len(steps), "script", ())

    def available_bytes(self):
        return 2**40

    def describe(self):
        return {}


def endless(values):
    values = tuple(values)
    return itertools.chain(values, itertools.repeat(values[-1]))


def throttled(*reasons):
    return DeviceState(clock_mhz=1000.0, throttle_reasons=reasons)
