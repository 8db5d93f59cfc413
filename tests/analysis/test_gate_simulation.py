"""What `benchmarks/gate_simulation.py` shows at length, in little: whole gates of forty points whose truth is known."""

import math

import gate_noise
import numpy as np
import pytest
import stored_noise
from builders import make_point

GATES = 15
POINTS = [make_point(length=length) for length in range(1, gate_noise.POINTS + 1)]


def gates(name, *, multiple=0.0, count=GATES):
    noise, tolerance = gate_noise.SETTINGS[name]
    random = np.random.default_rng([2, *name.encode()])
    slower = 4 if multiple else 0
    return [
        gate_noise.draw_gate(noise, tolerance, random, slowdown=multiple * tolerance, slower=slower)
        for _ in range(count)
    ]


def found(held):
    return np.mean([hit for outcome in held for hit in outcome.found])


@pytest.mark.parametrize("name", ["locked GPU", "boosting GPU", "shared CI", "shared CI, bursts of +30 %"])
def test_equal_sides_are_not_flagged_and_take_at_most_900_visits(name):
    held = gates(name)
    assert not any(outcome.false_alarm for outcome in held)
    assert np.mean([outcome.visits for outcome in held]) <= 900


@pytest.mark.parametrize("name", ["locked GPU", "shared CI"])
def test_slowdowns_of_one_and_a_half_and_two_tolerances_are_found(name):
    assert found(gates(name, multiple=1.5)) >= 0.88
    assert found(gates(name, multiple=2.0)) >= 0.95


def test_a_slowdown_of_the_whole_suite_is_found_in_every_point():
    noise, tolerance = gate_noise.SETTINGS["locked GPU"]
    outcome = gate_noise.draw_gate(noise, tolerance, np.random.default_rng(1), slowdown=0.06, slower=gate_noise.POINTS)
    assert all(outcome.found)


def test_the_simulated_ratios_spread_as_their_profile_says():
    noise, _ = gate_noise.SETTINGS["host"]
    ratios = gate_noise.draw_log_ratios(noise, np.random.default_rng(1), rounds=200, points=40)
    assert ratios.std() == pytest.approx(math.sqrt(2) * noise.process, rel=0.05)
    assert ratios.mean() == pytest.approx(0, abs=0.01)


def flagged(name, *, sessions, calibrated=True, slowdown=0.0):
    random = np.random.default_rng([3, *name.encode(), sessions])
    noise = stored_noise.SETTINGS[name]
    return np.array(
        [
            stored_noise.draw_rulings(
                noise, random, POINTS, sessions=sessions, calibrated=calibrated, slowdown=slowdown, slower=4
            )
            for _ in range(GATES)
        ]
    )


def test_six_stored_sessions_with_calibration_find_ten_percent_on_the_same_card_and_flag_nothing_else():
    held = flagged("same card", sessions=6, slowdown=0.10)
    assert held[:, :4].mean() >= 0.95
    assert not held[:, 4:].any()


def test_another_card_of_the_model_is_mistaken_for_a_slowdown_without_calibration_and_not_with_it():
    assert flagged("another card of the model", sessions=1, calibrated=False).any(axis=1).mean() > 0.15
    assert flagged("another card of the model", sessions=6).any(axis=1).mean() <= 0.04
