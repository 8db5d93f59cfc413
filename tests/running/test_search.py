"""Straight for the crossover: what is measured for it, and what is said where it stays less sharp than asked for."""

from __future__ import annotations

from scripted import Orders
from sweeps import CROSSING

from hyenaprof.analysis.crossover import find_all

LENGTHS = [1024, 2048, 4096, 8192, 16384, 32768]


def searched(go, precision):
    asked = {"lengths": LENGTHS, "phases": "forward", "rounds": None}
    return go(Orders(laws=CROSSING), request={"crossover_precision": precision}, **asked)


def test_doubling_ends_an_octave_past_the_change_and_the_crossover_is_bracketed(go):
    run, told, _ = searched(go, 0.05)
    (crossover,) = find_all(run.records)
    assert crossover.flips[0].low <= 3000 <= crossover.flips[0].high
    assert crossover.flips[0].half_width <= 0.05
    assert max(record.point.shape.length for record in run.records) == 8192
    assert run.finished
    assert not any("was asked for" in note for note in told.notes)


def test_a_crossover_that_no_more_rounds_make_as_sharp_as_asked_for_is_said_to_be_less_sharp(go):
    _, told, _ = searched(go, 1e-7)
    (note,) = [note for note in told.notes if "was asked for" in note]
    assert note.startswith("forward: the crossover is known within 0.")
    assert note.endswith(" yet, 1e-05 % was asked for: the same command goes on from here")
