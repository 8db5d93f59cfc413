"""Lengths beside the grid's: between two of them around a crossover, and below the shortest."""

from __future__ import annotations

from scripted import Orders
from sweeps import CROSSING, keys_of, lines_of

from hyenaprof.analysis.crossover import find_all
from hyenaprof.model import CrossoverState, Visit


def test_a_crossover_is_refined_between_the_lengths_of_the_grid(go):
    run, told, _ = go(
        Orders(laws=CROSSING), lengths=[1024, 2048, 4096, 8192], phases="forward", rounds=None, precision="1%"
    )
    (crossover,) = find_all(run.records)
    assert crossover.state is CrossoverState.RESOLVED
    assert crossover.flips[0].low <= 3000 <= crossover.flips[0].high
    assert any("refining the crossover at" in note for note in told.notes)
    assert {r.point.shape.length for r in run.records} > {1024, 2048, 4096, 8192}
    assert all(len(record.visits) >= 5 for record in run.records)
    assert run.finished


def test_a_refined_run_that_was_interrupted_takes_its_own_lengths_up_again(go):
    asked = {"lengths": [1024, 2048, 4096, 8192], "phases": "forward", "rounds": None, "precision": "1%"}
    go(Orders(laws=CROSSING), stop_after=4 * 2 * 3 + 13, **asked)
    run, _, _ = go(Orders(laws=CROSSING), **asked)
    assert set(keys_of(run).values()) == {1}
    assert run.finished
    sides = {r.point.operator: {} for r in run.records}
    for record in run.records:
        sides[record.point.operator][record.point.shape.length] = {visit.round for visit in record.visits}
    assert sides["hyena"] == sides["flash"], "no round of one side lacks the other"
    assert all(len(record.visits) >= 5 for record in run.records)


def test_without_refinement_only_the_grid_is_measured(go):
    asked = {"lengths": [1024, 2048, 4096], "phases": "forward", "rounds": None, "precision": "5%"}
    run, _, _ = go(Orders(laws=CROSSING), request={"refine": False}, **asked)
    assert {r.point.shape.length for r in run.records} == {1024, 2048, 4096}


def test_lengths_go_down_while_the_challenger_leads_at_the_shortest_and_it_is_said(go):
    laws = {"hyena": (1e-6, 1.0), "flash": (1e-6 / 300, 2.0)}
    run, told, _ = go(Orders(laws=laws), lengths={"to": 2048}, phases="forward")
    assert sorted({r.point.shape.length for r in run.records}) == [256, 512, 1024, 2048]
    assert [note for note in told.notes if "going down" in note] == [
        "the incumbent does not clearly lead at 1024: going down to 512",
        "the incumbent does not clearly lead at 512: going down to 256",
    ]
    assert set(keys_of(run).values()) == {1}
    assert {visit.round for visit in lines_of(run, Visit) if visit.point.shape.length == 256} == {0, 1}


def test_lengths_stop_at_64_however_far_the_challenger_leads(go):
    laws = {"hyena": (1e-7, 1.0), "flash": (1e-5, 1.0)}
    run, _, _ = go(Orders(laws=laws), lengths={"to": 1024}, phases="forward", rounds=1)
    assert min(r.point.shape.length for r in run.records) == 64


def test_a_shortest_length_that_was_asked_for_is_the_shortest(go):
    laws = {"hyena": (1e-7, 1.0), "flash": (1e-5, 1.0)}
    run, _, _ = go(Orders(laws=laws), lengths={"from": 1024, "to": 1024}, phases="forward", rounds=1)
    assert {r.point.shape.length for r in run.records} == {1024}
