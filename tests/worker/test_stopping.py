from __future__ import annotations

import random
from itertools import takewhile
from statistics import median

import pytest

from hyenaprof.pipe import VisitRules
from hyenaprof.worker.stopping import checkpoints, effective_samples, enough, median_interval, precise, settled

RULES = VisitRules()


def never():
    raise AssertionError("the samples were asked for where they decide nothing")


def ar1(count, correlation, seed):
    """Gaussian noise around 1 whose neighbours correlate."""
    generator = random.Random(seed)
    x, values = 0.0, []
    for _ in range(count):
        x = correlation * x + generator.gauss(0.0, (1 - correlation**2) ** 0.5)
        values.append(1.0 + 0.05 * x)
    return values


def test_looks_come_at_30_and_then_each_a_quarter_later():
    assert list(checkpoints(RULES)) == [30, 38, 48, 60, 75, 94, 118, 148, 185]


def test_a_higher_minimum_puts_the_first_look_off():
    assert list(checkpoints(VisitRules(min_samples=150, max_samples=200))) == [150, 188]


def test_independent_samples_are_worth_about_their_number():
    worth = [effective_samples(ar1(200, 0.0, seed)) for seed in range(50)]
    assert median(worth) == pytest.approx(200, rel=0.15)


def test_samples_of_correlation_one_half_are_worth_what_their_signs_are():
    # sign(x) of a Gaussian AR(1) has autocorrelation (2/pi) asin(rho^k), Sheppard 1899: the sum over k is 0.7178 for 1/2.
    worth = [effective_samples(ar1(2000, 0.5, seed)) for seed in range(20)]
    assert median(worth) == pytest.approx(2000 / (1 + 2 * 0.7178), rel=0.15)


def test_alternating_samples_are_never_worth_more_than_their_number():
    assert effective_samples([1.0, 2.0] * 20) == 40


def test_a_constant_is_worth_its_number_of_samples():
    assert effective_samples([3.0] * 7) == 7


def test_two_levels_in_a_row_are_worth_few_samples():
    assert effective_samples([1.0] * 50 + [2.0] * 50) < 5


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_the_interval_covers_the_true_median_in_95_of_100_visits(correlation):
    covered = 0
    for seed in range(400):
        low, high = median_interval(ar1(60, correlation, seed))
        covered += low <= 1.0 <= high
    assert covered / 400 >= 0.92


def test_the_interval_of_a_known_row_is_read_off_by_order():
    # alternating around the middle: worth all 100 samples, so p = 1/2 +- 0.098 of the ranks 0..99
    row = [value for pair in zip(range(50), range(99, 49, -1), strict=True) for value in pair]
    assert median_interval([float(value) for value in row]) == (39.0, 60.0)


def test_precision_is_half_the_interval_over_the_median():
    row = [float(v) for pair in zip(range(1000, 1050), range(1099, 1049, -1), strict=True) for v in pair]
    assert precise(row, 10.51 / 1049.5)
    assert not precise(row, 10.49 / 1049.5)


def test_a_precise_visit_stops_at_its_first_look_and_not_before():
    def readings():
        return [[1e-3] * 30]

    assert enough(30, 0.03, RULES, readings)
    assert not enough(29, 0.029, RULES, never)


def test_every_phase_must_be_precise():
    spread = [1e-3, 2e-3] * 15
    assert not enough(30, 0.03, RULES, lambda: [[1e-3] * 30, spread])


def test_a_noisy_visit_ends_at_the_most_samples():
    assert enough(200, 0.2, RULES, never)


def test_the_window_ends_a_visit_with_the_minimum_of_samples():
    assert enough(10, 0.6, RULES, never)
    assert not enough(9, 0.55, RULES, never)


def test_past_two_windows_five_samples_are_enough():
    assert enough(5, 0.8, RULES, never)
    assert not enough(4, 0.7, RULES, never)


def test_a_sample_longer_than_the_window_is_taken_once():
    assert enough(1, 0.51, RULES, never)
    assert not enough(1, 0.49, RULES, never)


def calls_until_settled(call_s):
    taken = [call_s(0)]
    while not settled(taken, RULES):
        taken.append(call_s(len(taken)))
    return len(taken)


def test_warm_up_of_a_steady_call_takes_three():
    assert calls_until_settled(lambda _: 0.02) == 3


def test_warm_up_goes_on_while_calls_get_faster():
    assert calls_until_settled(lambda index: 0.01 * max(1.0, 3.0 - 0.25 * index)) >= 8


def test_warm_up_of_a_call_longer_than_the_window_is_one_call():
    assert calls_until_settled(lambda _: 0.6) == 1


def test_warm_up_never_outlasts_the_window_by_more_than_a_call():
    spent = [0.1 * 0.97**index for index in range(100)]
    count = calls_until_settled(lambda index: spent[index])
    assert sum(spent[: count - 1]) < RULES.window_s


def test_short_calls_are_warmed_for_a_time_and_not_for_a_count():
    assert calls_until_settled(lambda _: 1e-3) == 20


def test_the_shortest_calls_are_warmed_at_most_as_often_as_they_are_sampled():
    assert len(list(takewhile(lambda n: not settled([1e-6] * n, RULES), range(1, 1000)))) == RULES.max_samples - 1
