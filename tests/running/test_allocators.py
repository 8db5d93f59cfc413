from __future__ import annotations

from unittest.mock import create_autospec

import pytest
from builders import make_scenario
from scripted import Orders, write_script

from hyenaprof.analysis.crossover import find_all
from hyenaprof.errors import WorkerError
from hyenaprof.model import CrossoverState
from hyenaprof.records.store import load_run
from hyenaprof.report.allocators import lines
from hyenaprof.report.findings import find
from hyenaprof.report.render import render
from hyenaprof.running import allocators
from hyenaprof.running.allocators import lengths_around
from hyenaprof.running.progress import Display
from hyenaprof.running.runner import Interrupted, SweepRequest, sweep
from hyenaprof.running.workers import Workers

WARM = {"hyena": (1e-6, 1.0), "flash": (1e-6 / 3000, 2.0)}
"""Equal at 3000 tokens."""
DEFAULT = {"hyena": (2e-6, 1.0), "flash": (1e-6 / 3000, 2.0)}
"""Hyena takes twice as long: equal at 6000."""


@pytest.fixture
def go(tmp_path, monkeypatch):
    """Sweeps forward passes with workers that are scripts; their device counts as the host's."""
    monkeypatch.setattr(allocators, "ALLOCATED_ON_HOST", frozenset({"fake"}))

    def run(default_laws=DEFAULT, *, refine=True, stopped_there=False, laws=WARM, **scenario):
        script = write_script(tmp_path, Orders(laws=laws, default_laws=default_laws))
        asked = make_scenario(
            **{"device": "fake", "lengths": [1024, 2048, 4096, 8192, 16384], "phases": "forward", **scenario}
        )
        display = create_autospec(Display, instance=True)
        if stopped_there:
            display.note.side_effect = Stopper().note
        pythons = dict.fromkeys(("hyena:fft", "flash:sdpa"), str(script.path))
        sweep(SweepRequest(asked, out=tmp_path / "run", refine=refine, pythons=pythons), display)
        return load_run(tmp_path / "run"), script

    return run


class Stopper:
    """Interrupts, as Ctrl-C would, at the first bisection under the other allocator."""

    there = False

    def note(self, text):
        self.there |= "once more under the default allocator" in text
        if self.there and "refining" in text:
            raise KeyboardInterrupt


def crossover_of(records):
    (found,) = find_all(records)
    assert found.state is CrossoverState.RESOLVED
    return found.flips[0]


def test_the_crossover_is_looked_for_under_both_allocators_and_never_mixed(go):
    run, _ = go()
    assert crossover_of(run.records).length == pytest.approx(3000, rel=0.05)
    assert crossover_of(run.other_allocator).length == pytest.approx(6000, rel=0.05)
    assert {r.fingerprint_id for r in run.records}.isdisjoint({r.fingerprint_id for r in run.other_allocator})
    ends = crossover_of(run.other_allocator).bracket
    assert all(len(r.visits) >= 3 for r in run.other_allocator if r.point.shape.length in ends)
    assert run.finished


def test_the_report_and_the_terminal_say_both(go, tmp_path):
    run, _ = go()
    (line,) = lines(find(run))
    assert line.startswith("forward, hyena against flash: warm 30")
    assert "; default 60" in line
    render(run)
    text = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert "## Under both allocators" in text
    assert "| Allocator | warm |" in text


def test_points_and_times_are_the_first_allocators_alone(go):
    run, _ = go()
    assert {finding.record.fingerprint_id for finding in find(run).points} == {run.records[0].fingerprint_id}


def test_a_run_that_was_stopped_there_goes_on_there(go):
    with pytest.raises(Interrupted):
        go(stopped_there=True)
    run, script = go()
    assert crossover_of(run.other_allocator).length == pytest.approx(6000, rel=0.05)
    rounds = [
        (b["points"][0]["operator"], b["points"][0]["shape"]["length"], b["round"]) for b in script.asked("measure")
    ]
    assert len(rounds) == len(set(rounds)) + rounds_shared(run)


def rounds_shared(run):
    """Rounds that both allocators had of one point: asked for twice, once of each."""
    own = {(r.point.id, visit.round) for r in run.records for visit in r.visits}
    return sum((r.point.id, visit.round) in own for r in run.other_allocator for visit in r.visits)


@pytest.mark.parametrize("asked", [{"refine": False}, {"rounds": 3}])
def test_what_was_not_asked_for_is_not_measured(go, asked):
    run, _ = go(**asked)
    assert run.other_allocator == ()
    assert lines(find(run)) == ()


def test_without_a_crossover_there_is_nothing_to_look_at_again(go):
    run, _ = go(laws={"hyena": (1e-6, 1.0), "flash": (9e-6, 1.0)}, lengths=[1024, 2048])
    assert run.other_allocator == ()


def test_lengths_lie_around_the_crossover_about_an_octave_apart(go):
    run, _ = go(lengths=[64, 128, 1024, 1536, 2048, 4096, 8192, 131072])
    assert lengths_around(find_all(run.records)) == (1024, 2048, 4096, 8192)


def test_where_no_worker_of_the_other_allocator_starts_nothing_is_said_of_any_point(go, monkeypatch):
    own = Workers.get

    def get(self, side, **limits):
        if self._protocol.allocator == "default":
            raise WorkerError("a worker did not start")
        return own(self, side, **limits)

    monkeypatch.setattr(Workers, "get", get)
    run, _ = go()
    assert crossover_of(run.records).length == pytest.approx(3000, rel=0.05)
    assert (run.other_allocator, run.finished) == ((), True)


def test_an_allocator_set_from_outside_is_the_only_one(go):
    run, script = go(default_laws={})
    assert run.other_allocator == ()
    asked = [
        (b["points"][0]["operator"], b["points"][0]["shape"]["length"], b["round"]) for b in script.asked("measure")
    ]
    assert len(asked) == len(set(asked))
