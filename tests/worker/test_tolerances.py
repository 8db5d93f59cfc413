import pytest

from hyenaprof.model import CheckEntry
from hyenaprof.worker.tolerances import allowed, may_be_rounding

GRADIENT = "gradient of inner_weight"
WIDE = {GRADIENT: 3e-5}
"""A condition of 8 x 3e-5 = 2.4e-4."""


def entry(error, quantity=GRADIENT, tolerance=1e-4):
    return CheckEntry(quantity=quantity, error=error, tolerance=tolerance)


def limit(error, plain=None, moves=None, least=0.1):
    others = [] if plain is None else [entry(plain)]
    (judged,) = allowed([entry(error)], plain=others, moves=moves or {}, least=least)
    assert judged.error == error
    return judged.tolerance


@pytest.mark.parametrize(("error", "may"), [(0.99e-4, False), (1.01e-4, True), (4.9e-4, True), (5.1e-4, False)])
def test_only_a_gradient_that_is_red_by_little_may_be_rounding(error, may):
    assert bool(may_be_rounding([entry(error)])) is may
    assert not may_be_rounding([entry(error, quantity="output")])


def test_what_may_be_rounding_on_either_side_may_be_rounding():
    assert may_be_rounding([entry(1.1e-4)], [entry(0.95e-4)]) == {GRADIENT}
    assert may_be_rounding([entry(0.95e-4)], [entry(1.1e-4)]) == {GRADIENT}
    assert may_be_rounding([entry(None)], [entry(0.95e-4)]) == frozenset()


def test_a_condition_widens_a_tolerance_never_narrows_it_and_ends_at_five_times_the_table():
    assert limit(1.1e-4) == pytest.approx(1e-4)
    assert limit(1.1e-4, moves=WIDE) == pytest.approx(2.4e-4)
    assert limit(1.1e-4, moves={GRADIENT: 1e-6}) == pytest.approx(1e-4)
    assert limit(1.1e-4, moves={GRADIENT: 1.0}) == pytest.approx(5e-4)


def test_two_alike_errors_either_side_of_the_table_are_judged_alike():
    assert limit(1.1e-4, plain=0.95e-4, moves=WIDE) == pytest.approx(1.9e-4)
    assert limit(0.95e-4, plain=1.1e-4, moves=WIDE) == pytest.approx(2.2e-4)


def test_three_times_the_plain_ones_error_is_beyond_what_is_allowed():
    assert limit(2.85e-4, plain=0.95e-4, moves={GRADIENT: 1.0}) == pytest.approx(1.9e-4)


def test_a_plain_one_that_is_off_by_much_widens_nothing():
    assert limit(2e-4, plain=1e-2) == pytest.approx(1e-4)


def test_a_share_of_the_table_passes_however_right_the_plain_one_is_and_a_condition_adds_nothing_to_it():
    assert limit(1.1e-4, plain=1e-9) == pytest.approx(1e-5)
    assert limit(1.1e-4, plain=1e-9, least=0.5) == pytest.approx(5e-5)
    assert limit(1.1e-4, plain=1e-9, moves=WIDE) == pytest.approx(1e-5)
