"""Which implementations can be had here: asked of a worker, which really imports and builds them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hyenaprof.pipe import Availability, AvailabilityAnswer, ImplementationStatus
from hyenaprof.records.scenario import Protocol
from hyenaprof.running.workers import Side, Worker

LIMIT_S = 300.0


def availability(device: str) -> tuple[ImplementationStatus, ...]:
    """Status of every implementation in the table on a device.

    Raises:
        DeviceError: No such device.
        WorkerError: No worker can be started.
    """
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(Side("", ""), device=device, protocol=Protocol(), log=Path(folder) / "worker.log")
        try:
            return worker.ask(Availability(), AvailabilityAnswer, limit_s=LIMIT_S).statuses
        finally:
            worker.close()
