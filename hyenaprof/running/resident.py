"""How much memory a process keeps, which decides how many workers may stay alive at once."""

from __future__ import annotations

import os
from pathlib import Path

LEAST_LIVE = 2
"""What is compared is measured about a second apart, so both sides' workers live whatever they keep."""
TYPICAL_BYTES = 768 * 1024**2
"""What a worker is taken to keep at least: torch's libraries, and the heap of its last visit."""


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where there is none, or where the system does not say."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def most_live(room_bytes: float, kept_bytes: int) -> int:
    """How many workers may live where the largest keeps so much and all together may keep `room_bytes`."""
    return max(LEAST_LIVE, int(room_bytes / max(kept_bytes, TYPICAL_BYTES)))
