"""Summaries and comparisons of visits against known answers and a simulated truth."""

import math

import numpy as np
import pytest
from builders import make_failure, make_point, make_record, make_visit
from simulator import HOST, PROFILES, Machine, Noise, record_of

from hyenaprof.analysis import stats
from hyenaprof.model import Outcome

POINT = make_point("hyena", 4096)


def visits_of(medians_s, **fields):
    return [make_visit(POINT, [median] * 5, round=number, **fields) for number, median in enumerate(medians_s)]


def test_summary_is_the_median_over_visits_not_over_samples():
    visits = [make_visit(POINT, [1.0, 1.0, 9.0], round=0), make_visit(POINT, [2.0] * 99, round=1)]
    visits.append(make_visit(POINT, [4.0], round=2))
    summary = stats.summarise(visits, precision=0.01)
    assert summary.median_s == 2.0
    assert (summary.visits, summary.samples) == (3, 103)


def test_summary_leaves_dropped_samples_out():
    visit = make_visit(POINT, [1.0, 50.0, 1.2, 1.1], dropped=(1,))
    summary = stats.summarise([visit], precision=0.01)
    assert summary.median_s == 1.1
    assert summary.samples == 3


def test_one_visit_has_no_interval_and_is_unstable():
    summary = stats.summarise(visits_of([1.0]), precision=0.5)
    assert (summary.low_s, summary.high_s, summary.precision, summary.between_spread) == (None, None, None, None)
    assert summary.unstable


def test_five_agreeing_visits_are_stable_and_four_are_not():
    medians_s = [1.0, 1.001, 0.999, 1.0005, 0.9995]
    assert not stats.summarise(visits_of(medians_s), precision=0.01).unstable
    assert stats.summarise(visits_of(medians_s[:4]), precision=0.01).unstable


def test_summary_without_samples_is_refused():
    with pytest.raises(ValueError, match="no visit holds a sample"):
        stats.summarise([], precision=0.01)


def test_interval_holds_the_median_even_of_a_skewed_handful():
    summary = stats.summarise(visits_of([1.0, 1.0, 1.0, 1.0, 5.0]), precision=0.01)
    assert summary.low_s <= summary.median_s <= summary.high_s


def test_spreads_are_told_apart():
    random = np.random.default_rng(2)
    visits = [
        make_visit(POINT, tuple(math.exp(0.05 * e) * (1 + 0.001 * s) for s in random.normal(size=50)), round=number)
        for number, e in enumerate(random.normal(size=20))
    ]
    summary = stats.summarise(visits, precision=0.01)
    assert summary.within_spread == pytest.approx(0.001, rel=0.1)
    assert summary.between_spread == pytest.approx(0.05, rel=0.35)


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("rounds", [8, 20])
def test_interval_covers_the_truth_in_92_percent_of_500_trials(name, rounds):
    """The truth is the median of all visits that the machine could make: outliers and throttling are part of it."""
    machine = Machine(PROFILES[name], np.random.default_rng([rounds, *name.encode()]))
    everything = [machine.visit(POINT, 1e-3, -1 - number, samples=20).latency_s for number in range(3000)]
    truth_s = float(np.median([np.median(samples) for samples in everything]))
    covered = 0
    for trial in range(500):
        visits = [machine.visit(POINT, 1e-3, trial * 100 + number, samples=20) for number in range(rounds)]
        summary = stats.summarise(visits, precision=0.01)
        covered += summary.low_s <= truth_s <= summary.high_s
    assert covered >= 0.92 * 500


def test_visits_that_drift_get_a_wider_interval_than_the_same_visits_shuffled():
    drifting = [1.0 + 0.01 * number for number in range(10)]
    shuffled = [drifting[index] for index in (4, 0, 8, 2, 6, 9, 1, 7, 3, 5)]
    apart = stats.summarise(visits_of(drifting), precision=0.1).precision
    together = stats.summarise(visits_of(shuffled), precision=0.1).precision
    assert apart == pytest.approx(2.0 * together, rel=0.01)


def test_unstable_where_the_noise_does_not_converge():
    machine = Machine(HOST, np.random.default_rng(8))
    visits = [machine.visit(POINT, 1e-3, number) for number in range(20)]
    assert stats.summarise(visits, precision=0.01).unstable
    assert not stats.summarise(visits, precision=0.10).unstable


def paired(drift, *, rounds=6, ratio=2.0):
    ours = [make_visit(POINT, [1e-3 * d] * 3, round=n) for n, d in enumerate(drift[:rounds])]
    flash = make_point("flash", 4096)
    theirs = [make_visit(flash, [ratio * 1e-3 * d] * 3, round=n) for n, d in enumerate(drift[:rounds])]
    return record_of(POINT, ours), record_of(flash, theirs)


def test_drift_shared_by_a_round_leaves_the_ratio_alone():
    comparison = stats.compare(*paired([1.0, 1.3, 0.8, 2.0, 1.1, 0.7]))
    assert comparison.ratio == pytest.approx(2.0)
    assert (comparison.low, comparison.high) == pytest.approx((2.0, 2.0))
    assert comparison.leader == "challenger"
    assert comparison.rounds == 6
    assert comparison.paired


def test_ratio_below_one_says_that_the_incumbent_leads():
    ours, theirs = paired([1.0, 1.1, 0.9])
    swapped = stats.compare(theirs, ours)
    assert swapped.ratio == pytest.approx(0.5)
    assert swapped.leader == "incumbent"


def test_rounds_that_do_not_meet_are_compared_unpaired():
    flash = make_point("flash", 4096)
    ours = record_of(POINT, [make_visit(POINT, [1.0, 1.0], round=n) for n in range(3)])
    theirs = record_of(flash, [make_visit(flash, [t, t], round=n) for n, t in ((7, 2.0), (8, 2.2), (9, 1.8))])
    comparison = stats.compare(ours, theirs)
    assert not comparison.paired
    assert comparison.ratio == pytest.approx((2.0 * 2.2 * 1.8) ** (1 / 3))
    assert comparison.low < comparison.ratio < comparison.high


def test_one_round_gives_a_ratio_without_interval():
    comparison = stats.compare(*paired([1.0], rounds=1))
    assert (comparison.low, comparison.high, comparison.leader) == (None, None, None)


def test_nothing_is_compared_with_a_failure():
    assert stats.compare(make_record(POINT), make_failure(make_point("flash", 4096), Outcome.OOM)) is None


def test_paired_ratio_covers_the_truth_under_shared_drift():
    machine = Machine(Noise(0.01, 0.01, 0.05), np.random.default_rng(3))
    flash = make_point("flash", 4096)
    covered = 0
    for trial in range(500):
        keys = range(trial * 10, trial * 10 + 9)
        ours = record_of(POINT, [machine.visit(POINT, 1e-3, key) for key in keys])
        theirs = record_of(flash, [machine.visit(flash, 1.1e-3, key) for key in keys])
        comparison = stats.compare(ours, theirs)
        covered += comparison.low <= 1.1 <= comparison.high
    assert covered >= 0.92 * 500


def test_order_bias_is_found_with_its_sign():
    records = []
    for index in range(6):
        point = make_point("hyena", 1024 * (index + 1))
        visits = [
            make_visit(
                point, [(1.03 if (index + n) % 2 == 0 else 1.0) * (1 + 0.0005 * n)] * 3, round=n, order=(index + n) % 2
            )
            for n in range(8)
        ]
        records.append(record_of(point, visits))
    bias = stats.order_bias(records)
    assert bias.value == pytest.approx(0.03, abs=0.002)
    assert bias.significant
    assert bias.count == 6


def test_order_bias_of_a_single_order_is_unknown():
    assert stats.order_bias([record_of(POINT, visits_of([1.0, 1.0]))]) is None


def test_drift_over_the_run_is_found():
    points = [make_point("hyena", length) for length in (1024, 2048, 4096)]
    records = [record_of(p, [make_visit(p, [1e-3 * 1.02 ** (n / 9)] * 3, round=n) for n in range(10)]) for p in points]
    drifted = stats.drift(records)
    assert drifted.value == pytest.approx(0.02, rel=1e-3)
    assert drifted.count == 10


def test_noise_without_drift_is_not_called_drift():
    machine = Machine(Noise(0.01, 0.02, 0.0), np.random.default_rng(11))
    calm = 0
    for trial in range(100):
        point = make_point("hyena", 64 * (trial + 1))
        found = stats.drift([record_of(point, [machine.visit(point, 1e-3, n) for n in range(8)])])
        calm += not found.significant
    assert calm >= 88


def test_drift_needs_three_rounds():
    assert stats.drift([record_of(POINT, visits_of([1.0, 1.0]))]) is None
