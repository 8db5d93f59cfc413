"""Joules of one call on the fake device, whose power is a round number."""

from __future__ import annotations

import json

import pytest
from toys import Scale

from hyenaprof.devices.base import resolve
from hyenaprof.devices.fake import VARIABLE
from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.pipe import VisitRules
from hyenaprof.worker.energy import of_samples
from hyenaprof.worker.measure import visit

POWER_W = 250.0


def visits(monkeypatch, rules, *phases, launch_s=1e-3, counts=True):
    """Visits of an operator that takes `launch_s` a step and little else, at 250 W."""
    rate = {"flops_per_s": 1e18, "bytes_per_s": 1e18, "launch_s": launch_s, "power_w": POWER_W}
    knobs = {"noise": 0, "process_noise": 0, "round_noise": 0, "rates": {"toy": rate}, "energy_counter": counts}
    monkeypatch.setenv(VARIABLE, json.dumps(knobs))
    points = [
        Point(
            operator="toy",
            implementation="plain",
            scope=Scope.LAYER,
            phase=phase,
            shape=Shape(batch=1, length=8, width=4, heads=1),
            dtype=DType.FLOAT32,
            device="fake",
        )
        for phase in phases
    ]
    return visit(points, Scale({}), resolve("fake"), rules, round_index=0, order=0, fingerprint_id="f")


def test_short_calls_have_their_energy_read_over_a_second_of_calls_in_a_row(monkeypatch):
    (seen,) = visits(monkeypatch, VisitRules(energy_window_s=1.0), Phase.FORWARD)
    assert sum(seen.latency_s) < 0.5
    assert seen.energy_j == pytest.approx(POWER_W * 1e-3, rel=1e-3)


def test_without_being_asked_for_or_without_a_counter_there_is_none(monkeypatch):
    (unasked,) = visits(monkeypatch, VisitRules(), Phase.FORWARD)
    (uncounted,) = visits(monkeypatch, VisitRules(energy_window_s=1.0), Phase.FORWARD, counts=False)
    assert (unasked.energy_j, uncounted.energy_j) == (None, None)


def test_the_energy_of_training_is_that_of_both_passes_and_backward_has_none(monkeypatch):
    backward, training = visits(monkeypatch, VisitRules(energy_window_s=1.0), Phase.BACKWARD, Phase.TRAINING)
    assert backward.energy_j is None
    assert training.energy_j == pytest.approx(POWER_W * 2e-3, rel=1e-3)


def test_a_long_call_has_its_energy_read_from_its_own_sample(monkeypatch):
    (seen,) = visits(monkeypatch, VisitRules(), Phase.FORWARD, launch_s=2.0)
    assert len(seen.latency_s) == 1
    assert seen.energy_j == pytest.approx(POWER_W * 2.0, rel=1e-3)


@pytest.mark.parametrize(
    ("taken_s", "elapsed_s", "energy_j"),
    [([0.5, 0.5], 1.05, 150.0), ([0.4, 0.4], 0.85, None), ([0.5, 0.5], 1.2, None)],
)
def test_samples_tell_energy_only_where_they_fill_a_second_or_more(taken_s, elapsed_s, energy_j):
    assert of_samples(100.0, 400.0, taken_s=taken_s, elapsed_s=elapsed_s) == energy_j
    assert of_samples(None, None, taken_s=taken_s, elapsed_s=elapsed_s) is None
