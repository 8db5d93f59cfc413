"""Small samples located, against scipy.stats and statsmodels."""

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
