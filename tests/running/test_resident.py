"""How many workers may live: by what one of them keeps, and never fewer than the two that are compared."""

from __future__ import annotations

import os

import pytest

from hyenaprof.running.resident import LEAST_LIVE, TYPICAL_BYTES, most_live, resident_bytes


@pytest.mark.parametrize(
    ("room", "kept", "live"),
    [
        (0.0, 0, LEAST_LIVE),
        (5.0, 0, 5),
        (5.0, TYPICAL_BYTES // 2, 5),
        (6.0, 2 * TYPICAL_BYTES, 3),
        (1.0, 0, LEAST_LIVE),
    ],
)
def test_as_many_live_as_the_room_holds_of_the_largest(room, kept, live):
    assert most_live(room * TYPICAL_BYTES, kept) == live


def test_a_process_keeps_what_it_has_touched_and_one_that_is_gone_keeps_nothing():
    before = resident_bytes(os.getpid())
    held = b"x" * (64 * 1024**2)
    assert resident_bytes(os.getpid()) - before >= 0.9 * len(held)
    assert resident_bytes(2**22 + 1) == 0
