"""Which implementations can be had here: each is really built and called once on a tiny problem."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hyenaprof.devices.base import Device
from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.operators import operator_table
from hyenaprof.operators.base import entry_for, load
from hyenaprof.operators.packages import PackageRefused
from hyenaprof.pipe import ImplementationStatus, Refusal
from hyenaprof.worker.iteration import prepare
from hyenaprof.worker.outcomes import attempt

_TINY = Shape(batch=1, length=128, width=128, heads=2)
"""Long enough for every tile size, small enough for any device."""


def availability(names: Sequence[str], only: Sequence[str], device: Device) -> tuple[ImplementationStatus, ...]:
    """Tries every implementation of the named operators, or of all in the table; or those of these names only."""
    return tuple(
        status_of(name, implementation, device)
        for name in (names or tuple(operator_table()))
        for implementation in entry_for(name).implementations
        if not only or implementation in only
    )


def status_of(name: str, implementation: str, device: Device) -> ImplementationStatus:
    """Builds and calls one implementation on the tiny problem; says why where that fails, and what to install.

    An install line is for a library that is absent or broken: it helps nobody whose device is the wrong one.
    """
    installs: list[str | None] = []

    def call() -> None:
        try:
            _call_once(_tiny_point(name, implementation, device), device)
        except PackageRefused:
            installs.append(entry_for(name).install.get(implementation))
            raise

    ended = attempt(call)
    return ImplementationStatus(
        operator=name,
        implementation=implementation,
        available=not isinstance(ended, Refusal),
        reason=ended.reason if isinstance(ended, Refusal) else None,
        install=installs[0] if installs else None,
    )


def _call_once(point: Point, device: Device) -> None:
    iteration = prepare(load(point.operator, {}), point, device)
    iteration.forward()
    device.synchronize()


def _tiny_point(name: str, implementation: str, device: Device) -> Point:
    scopes = entry_for(name).scopes
    half = device.torch_device.type == "cuda" and torch.cuda.is_bf16_supported()
    return Point(
        operator=name,
        implementation=implementation,
        scope=Scope.LAYER if Scope.LAYER in scopes else Scope(scopes[0]),
        phase=Phase.FORWARD,
        shape=_TINY,
        dtype=DType.BFLOAT16 if half else DType.FLOAT32,
        device=device.kind,
    )
