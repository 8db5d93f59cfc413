"""Which visits a sweep makes, in which order, and by which workers."""

from __future__ import annotations

import json

import pytest
from scripted import Orders
from sweeps import FAST, PHASES, keys_of, lines_of

from hyenaprof.model import Phase, Visit
from hyenaprof.running.workers import Worker


def test_a_sweep_visits_every_point_once_a_round(go):
    run, told, _ = go()
    keys = keys_of(run)
    assert set(keys.values()) == {1}
    assert len(keys) == 2 * PHASES * 2 * 2
    assert run.finished
    assert run.ends[-1].reason == "nothing is left to measure"
    assert (told.failures, told.closed) == ([], 1)


def test_sides_alternate_and_the_shorter_length_and_the_cheaper_iteration_come_first(go):
    run, _, _ = go()
    order = [(v.round, v.point.shape.length, v.point.phase, v.point.operator, v.order) for v in lines_of(run, Visit)]
    first, second = ("hyena", "flash"), ("flash", "hyena")
    expected = [
        (round_, length, phase, operator, place)
        for round_, sides in ((0, first), (1, second))
        for length in (1024, 2048)
        for phases in ((Phase.FORWARD,), (Phase.BACKWARD, Phase.TRAINING))
        for place, operator in enumerate(sides)
        for phase in phases
    ]
    assert order == expected


def test_every_round_has_workers_of_its_own_and_each_side_one(go):
    _, _, script = go()
    by_round = {}
    for body in script.asked("measure"):
        by_round.setdefault((body["round"], body["points"][0]["operator"]), set()).add(body["pid"])
    assert {len(pids) for pids in by_round.values()} == {1}
    assert len({pid for pids in by_round.values() for pid in pids}) == 4


def test_three_sides_start_one_worker_a_pairing_beyond_the_first(go):
    operators = {"hyena": {"implementations": ["fft"]}, "flash": {"implementations": ["sdpa"]}, "attention": {}}
    run, _, script = go(pythons=("hyena:fft", "flash:sdpa", "attention:math"), operators=operators)
    assert set(keys_of(run).values()) == {1}
    pairings = 2 * 2
    second_round = {body["pid"] for body in script.asked("measure") if body["round"] == 1}
    assert len(second_round) == 3 + (pairings - 1)


def test_a_point_is_checked_and_its_memory_measured_before_it_is_first_timed(go):
    run, _, script = go(phases="forward", lengths=[1024])
    hyena = [b for b in script.requests if b["verb"] != "hello" and "hyena" in json.dumps(b)]
    assert [(b["verb"], b.get("at_length")) for b in hyena] == [
        ("describe", None),
        ("verify", False),
        ("memory", None),
        ("verify", True),
        ("measure", None),
        ("measure", None),
    ]
    record = run.records[0]
    assert record.memory.peak_bytes == 1000
    assert record.cost.source == "script"


def test_backward_and_training_are_asked_for_in_one_iteration(go):
    _, _, script = go(lengths=[1024], rounds=1)
    asked = {tuple(point["phase"] for point in body["points"]) for body in script.asked("measure")}
    assert asked == {("forward",), ("backward", "training")}


def test_at_most_two_workers_live_at_once(go, monkeypatch):
    alive, most = set(), [0]
    begin, end = Worker.__init__, Worker.kill

    def counted(self, *arguments, **named):
        begin(self, *arguments, **named)
        alive.add(self)
        most[0] = max(most[0], len(alive))

    def ended(self):
        alive.discard(self)
        end(self)

    monkeypatch.setattr(Worker, "__init__", counted)
    monkeypatch.setattr(Worker, "kill", ended)
    operators = {"hyena": {"implementations": ["fft"]}, "flash": {"implementations": ["sdpa"]}, "attention": {}}
    run, _, _ = go(pythons=("hyena:fft", "flash:sdpa", "attention:math"), operators=operators, phases="forward")
    assert most == [2]
    assert alive == set()
    assert len(keys_of(run)) == 3 * 2 * 2


def test_what_will_take_long_is_said_once_and_before_anything_of_it_is_asked_for(go):
    caution = "slow type: this CPU has no float16 instructions"
    _, told, _ = go(Orders(laws=FAST, cautions=(caution,)))
    assert [note for note in told.notes if "slow type" in note] == [f"warning: hyena:fft: {caution}"]
    verifying = next(place for place, note in enumerate(told.notes) if note.startswith("verifying "))
    assert told.notes.index(f"warning: hyena:fft: {caution}") < verifying


@pytest.mark.parametrize("counts", [True, False])
def test_energy_is_asked_for_in_the_first_five_rounds_where_the_device_counts_it(go, counts):
    energy_j = 0.25 if counts else None
    orders = Orders(laws=FAST, hello={"counts_energy": counts}, energy_j=energy_j)
    run, _, script = go(orders, phases="forward", lengths=[1024], rounds=7, budget="1h")
    asked = {body["round"] for body in script.asked("measure") if body["rules"]["energy_window_s"] == 1.0}
    assert asked == (set(range(5)) if counts else set())
    assert {visit.energy_j for visit in lines_of(run, Visit)} == {energy_j}
