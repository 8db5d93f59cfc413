"""What can be had here: asked of a worker, which really imports, builds and looks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hyenaprof.pipe import (
    Availability,
    AvailabilityAnswer,
    Finding,
    ImplementationStatus,
    Inspect,
    InspectAnswer,
)
from hyenaprof.records.scenario import Protocol
from hyenaprof.running.workers import Side, Worker

LIMIT_S = 300.0


@contextmanager
def lone_worker(device: str, protocol: Protocol | None = None) -> Iterator[Worker]:
    """A worker outside any run, its log thrown away.

    Raises:
        DeviceError: No such device.
        WorkerError: It cannot be started.
    """
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(Side("", ""), device=device, protocol=protocol or Protocol(), log=Path(folder) / "worker.log")
        try:
            yield worker
        finally:
            worker.close()


def availability(device: str) -> tuple[ImplementationStatus, ...]:
    """Status of every implementation in the table on a device.

    Raises:
        DeviceError: No such device.
        WorkerError: No worker can be started.
    """
    with lone_worker(device) as worker:
        return worker.ask(Availability(), AvailabilityAnswer, limit_s=LIMIT_S).statuses


def examination(device: str) -> tuple[tuple[Finding, ...], tuple[ImplementationStatus, ...]]:
    """What to know before a serious run: findings on the machine, and what can be run on it.

    Raises:
        DeviceError: No such device.
        WorkerError: No worker can be started.
    """
    with lone_worker(device) as worker:
        findings = worker.ask(Inspect(), InspectAnswer, limit_s=LIMIT_S).findings
        return findings, worker.ask(Availability(), AvailabilityAnswer, limit_s=LIMIT_S).statuses
