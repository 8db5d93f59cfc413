"""One timing at a time on a machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from hyenaprof.errors import DeviceError


class DeviceLock:
    """A file lock on all real devices together, for this user; the fake device needs none.

    Args:
        device: As the user wrote it.

    Raises:
        DeviceError: Another hyenaprof is timing there.
    """

    def __init__(self, device: str) -> None:
        self._descriptor: int | None = None
        if device.startswith("fake"):
            return
        kind = device.partition(":")[0]
        # A CPU run and a GPU run share cores, power and memory: one lock serves both.
        path = Path(tempfile.gettempdir()) / f"hyenaprof-{os.getuid()}.lock"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise DeviceError(
                f"another hyenaprof is timing on this machine (asked for {kind})",
                hint="wait until it has ended: two timings at once disturb each other",
            ) from None

    def release(self) -> None:
        """Lets others in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
