"""Small samples located, against scipy.stats and statsmodels."""

import math

import numpy as np
import pytest
from scipy import stats as oracle
from statsmodels.stats.robust_compare import TrimmedMean

from hyenaprof.analysis import location


@pytest.mark.parametrize("count", [3, 5, 7])
def test_below_eight_values_the_interval_is_students(count):
    values = np.random.default_rng(count).normal(2.0, 0.3, count)
    located = location.locate(values)
    expected = oracle.t.interval(0.95, count - 1, loc=values.mean(), scale=oracle.sem(values))
    assert located.interval() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("count", [8, 9, 10, 13, 20, 24])
def test_from_eight_values_the_mean_is_trimmed_as_statsmodels_does(count):
    values = np.random.default_rng(count).standard_t(2, count)
    located = location.locate(values)
    model = TrimmedMean(values, 0.2)
    assert located.value == pytest.approx(oracle.trim_mean(values, 0.2), abs=1e-12)
    assert located.error == pytest.approx(model.std_mean_trimmed, rel=1e-12)
    assert located.freedom == model.ttest_mean(0.0)[2]


def test_trimming_resists_an_outlier():
    calm = [1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.99, 1.0]
    assert location.locate([*calm[:-1], 9.0]).value == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize(("first", "second"), [(3, 5), (9, 12)])
def test_unpaired_difference_is_welchs_and_yuens(first, second):
    random = np.random.default_rng(first)
    a, b = random.normal(1.0, 1.0, first), random.normal(0.0, 3.0, second)
    located = location.locate_difference(a, b)
    expected = oracle.ttest_ind(a, b, equal_var=False, trim=0.2 if first >= 8 else 0)
    assert located.value / located.error == pytest.approx(expected.statistic, rel=1e-9)
    assert located.freedom == pytest.approx(expected.df, rel=1e-9)


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.1]])
def test_one_and_two_values_have_no_interval(values):
    assert location.locate(values).interval() is None


def test_nothing_cannot_be_located():
    with pytest.raises(ValueError, match="no values"):
        location.locate([])


def test_independent_samples_count_fully_and_repeated_ones_once():
    random = np.random.default_rng(5)
    independent = random.normal(size=200)
    assert location.effective_sample_size(independent) > 130
    blocks = np.repeat(random.normal(size=20), 10)
    assert 10 < location.effective_sample_size(blocks) < 45


def test_autocorrelated_samples_count_by_the_known_factor():
    """Signs of an AR(1) with 0.6 correlate by (2/pi) asin(0.6^k): 100 such samples are worth about 40."""
    inflation = 1 + 2 * sum(2 / math.pi * math.asin(0.6**lag) for lag in range(1, 40))
    found = []
    for seed in range(60):
        random, value, samples = np.random.default_rng(seed), 0.0, []
        for _ in range(400):
            value = 0.6 * value + 0.8 * random.normal()
            samples.append(value)
        found.append(location.effective_sample_size(samples))
    assert np.mean(found) == pytest.approx(400 / inflation, rel=0.2)


def test_constant_samples_count_fully():
    assert location.effective_sample_size([1.0] * 12) == 12
