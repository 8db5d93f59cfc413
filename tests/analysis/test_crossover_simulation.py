"""The crossover's interval and bracket against simulated truth; the full version is benchmarks/crossover_simulation.py."""

import numpy as np
import pytest
from curve_pairs import draw_equal, draw_never, draw_pair, draw_step, draw_twice, search
from simulator import round_noise

from hyenaprof.model import CrossoverState

TRIALS = 40


@pytest.fixture(scope="module")
def covered():
    """Whether each trial's interval held the crossing, over all settings run so far."""
    return []


@pytest.mark.parametrize("noise", [0.01, 0.03])
@pytest.mark.parametrize("wiggly", [False, True])
def test_a_single_crossing_is_covered_and_near(wiggly, noise, covered):
    random = np.random.default_rng([7, wiggly, round(noise * 100)])
    inside = bracketed = near = 0
    for _ in range(TRIALS):
        pair = draw_pair(random, wiggly=wiggly)
        found, measurements = search(pair, round_noise(noise), random)
        (truth,), flip = pair.crossings, found.flips[0]
        assert found.state is CrossoverState.RESOLVED
        assert measurements <= 60
        inside += flip.low <= truth <= flip.high
        bracketed += (flip.significant[0] or 0) <= truth <= (flip.significant[1] or np.inf)
        near += abs(flip.length / truth - 1) < 0.02
    covered.append(inside)
    assert inside >= 0.87 * TRIALS
    assert sum(covered) >= 0.92 * TRIALS * len(covered)
    assert bracketed >= 0.93 * TRIALS
    assert noise > 0.01 or near >= 0.90 * TRIALS


def test_a_plain_doubling_grid_gives_a_wider_interval_that_still_covers():
    random = np.random.default_rng(17)
    inside, widths = 0, {True: [], False: []}
    for _ in range(TRIALS):
        pair = draw_pair(random, wiggly=True)
        for refine in (True, False):
            found, _ = search(pair, round_noise(0.01), random, refine=refine)
            flip = found.flips[0]
            widths[refine].append(np.log(flip.high / flip.low))
            inside += (flip.low <= pair.crossings[0] <= flip.high) and not refine
    assert inside >= 0.90 * TRIALS
    assert np.median(widths[False]) > 3 * np.median(widths[True])
    assert np.median(widths[False]) < np.log(2)


def test_a_step_lies_inside_its_bracket():
    random = np.random.default_rng(27)
    bracketed = 0
    for _ in range(TRIALS):
        pair = draw_step(random)
        found, _ = search(pair, round_noise(0.03), random)
        low, high = found.flips[0].significant
        bracketed += (low or 0) <= pair.crossings[0] <= (high or np.inf)
    assert bracketed >= 0.93 * TRIALS


@pytest.mark.parametrize("noise", [0.01, 0.03])
@pytest.mark.parametrize(
    ("draw", "state"),
    [
        (draw_never, CrossoverState.NONE_IN_RANGE),
        (draw_twice, CrossoverState.SEVERAL),
        (draw_equal, CrossoverState.EQUAL),
    ],
)
def test_curves_without_one_crossing_are_named(draw, state, noise):
    random = np.random.default_rng([37, round(noise * 100)])
    trials = 30
    found = [search(draw(random), round_noise(noise), random)[0] for _ in range(trials)]
    named = sum(x.state is state and (state is not CrossoverState.SEVERAL or len(x.flips) == 2) for x in found)
    assert named >= 0.9 * trials
