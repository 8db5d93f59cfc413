"""The gate's looks on plain numbers: what is settled when, and by which bound."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from hyenaprof.analysis.location import Location
from hyenaprof.analysis.looks import RULES, Rules, Ruling, Series, bound, decide, detectable, holm, p_value_above

LIMIT = math.log1p(0.05)


def series(ratio=1.0, spread=0.01, rounds=24, limit=LIMIT, seed=0):
    """Log ratios whose 6, 10, 16 and 24 first values all lie about the ratio."""
    random = np.random.default_rng(seed)
    halves = random.uniform(0.5, 1.5, (rounds + 1) // 2) * spread
    signed = np.stack([halves, -halves], axis=1).ravel()[:rounds]
    return Series(tuple((math.log(ratio) + signed).tolist()), limit)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_holm_rejects_what_statsmodels_rejects(alpha):
    p_values = np.random.default_rng(3).beta(0.3, 2, 200).tolist()
    for part in (p_values[:1], p_values[:7], p_values):
        assert holm(part, alpha) == tuple(multipletests(part, alpha, method="holm")[0].tolist())


def test_an_equal_point_is_ok_at_six_rounds_and_asks_for_no_more():
    (decision,) = decide([series(rounds=6)])
    assert (decision.ruling, decision.rounds, decision.wanted) == (Ruling.OK, 6, None)


def test_a_slower_point_is_not_flagged_before_ten_rounds_and_then_is():
    early, late = decide([series(1.2, rounds=6)])[0], decide([series(1.2, rounds=10)])[0]
    assert (early.ruling, early.wanted) == (Ruling.INCONCLUSIVE, 10)
    assert (late.ruling, late.rounds, late.wanted) == (Ruling.REGRESSED, 10, None)
    assert math.exp(late.value) == pytest.approx(1.2, abs=0.005)
    assert 0 <= late.low < late.value < late.high


def test_a_slowdown_below_the_tolerance_is_never_flagged_however_sure_it_is():
    decision = decide([series(1.03, spread=1e-4)])[0]
    assert decision.ruling is Ruling.OK
    assert decision.low > 0


def test_what_noise_hides_stays_inconclusive_at_the_last_look():
    decision = decide([series(1.04, spread=0.15)])[0]
    assert (decision.ruling, decision.rounds, decision.wanted) == (Ruling.INCONCLUSIVE, 24, None)


def test_a_point_much_faster_is_improved():
    assert decide([series(0.8)])[0].ruling is Ruling.IMPROVED


def test_rounds_beyond_the_look_that_settled_a_point_do_not_count():
    ten = series(1.2, rounds=10)
    (decision,) = decide([Series((*ten.log_ratios, *([-1.0] * 14)), LIMIT)])
    assert decision.ruling is Ruling.REGRESSED
    assert decision.rounds == 10


def test_a_look_waits_for_the_series_that_lack_rounds_and_only_they_are_measured():
    slow, short = decide([series(1.2, rounds=10), series(1.04, spread=0.15, rounds=9)])
    assert (slow.ruling, slow.wanted) == (Ruling.INCONCLUSIVE, None)
    assert (short.ruling, short.wanted) == (Ruling.INCONCLUSIVE, 10)


def test_at_the_close_a_series_that_lacks_rounds_stays_inconclusive_and_holds_up_no_other():
    slow, short, none = decide([series(1.2), series(1.2, rounds=9), Series((), LIMIT)], closing=True)
    assert slow.ruling is Ruling.REGRESSED
    assert (short.ruling, short.wanted, short.rounds) == (Ruling.INCONCLUSIVE, None, 6)
    assert (none.ruling, none.value, none.rounds) == (Ruling.INCONCLUSIVE, None, 0)


def test_the_more_points_a_gate_has_the_surer_it_must_be_of_each():
    weak = series(1.08, spread=0.04, rounds=10)
    alone = decide([weak], closing=True)[0]
    among = decide([weak, *(series(seed=number, rounds=10) for number in range(1, 40))], closing=True)[0]
    assert (alone.ruling, among.ruling) == (Ruling.REGRESSED, Ruling.INCONCLUSIVE)
    assert among.low < alone.low


def test_the_same_rounds_give_the_same_answer_however_often_they_were_looked_at():
    held = [series(1.0 + 0.02 * number, spread=0.06, seed=number) for number in range(6)]
    at_once = decide(held)
    for look in RULES.looks[:-1]:
        decide([Series(each.log_ratios[:look], each.limit) for each in held])
    assert decide(held) == at_once


def test_ratios_without_any_spread_are_judged_by_their_value_alone():
    equal, slower = decide([Series((0.0,) * 10, LIMIT), Series((0.1,) * 10, LIMIT)])
    assert (equal.ruling, slower.ruling) == (Ruling.OK, Ruling.REGRESSED)
    assert equal.detectable == pytest.approx(LIMIT)


def test_one_and_two_rounds_have_no_bounds():
    for rounds in (1, 2):
        decision = decide([series(rounds=rounds)], closing=True)[0]
        assert (decision.low, decision.high, decision.detectable) == (None, None, None)
        assert decision.rounds == rounds


def test_a_single_value_has_infinite_bounds_and_no_p_value():
    alone = Location(0.5, None, 0, 1)
    assert (bound(alone, 0.05, side=1), bound(alone, 0.05, side=-1)) == (math.inf, -math.inf)
    assert p_value_above(alone, 0.0) == 1.0


def test_alpha_is_shared_among_the_looks_that_can_flag():
    assert RULES.look_alpha == pytest.approx(RULES.alpha / 3)
    assert Rules(looks=(8,), early=0).look_alpha == pytest.approx(RULES.alpha)


def test_the_detectable_slowdown_is_flagged_about_four_times_in_five():
    random = np.random.default_rng(11)
    spread, tests, trials = 0.05, 40, 400
    error = 1.05 * spread / math.sqrt(24)  # a trimmed mean of normal values errs 5 % more than the plain one
    slowdown = detectable(Location(0.0, error, 15, 24), LIMIT, alpha=RULES.look_alpha / tests)
    flagged = 0
    for _ in range(trials):
        rounds = slowdown + spread * random.standard_normal(24)
        others = [Series((0.0,) * 24, LIMIT)] * (tests - 1)
        flagged += decide([Series(tuple(rounds.tolist()), LIMIT), *others])[0].ruling is Ruling.REGRESSED
    assert 0.74 < flagged / trials < 0.90  # looks before the last one find some, too
