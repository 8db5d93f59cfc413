"""Cost models, growth exponents and predictions against curves whose law is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from builders import make_cost, make_failure, make_point, make_visit
from simulator import record_of

from hyenaprof.analysis.cost_model import fit_models, interval_at
from hyenaprof.analysis.scaling import nearest_length, predict_for_planning, scaling_of, stretch_words
from hyenaprof.model import Outcome, Phase
from hyenaprof.report.words import exponent_interval
from hyenaprof.units import UNKNOWN

LENGTHS = tuple(1024 * 2**k for k in range(7))


def attention_s(length):
    return 5e-5 + 2e-7 * length + 3e-11 * length**2


def hyena_s(length):
    return 3e-4 + 4e-8 * length * math.log(length)


def curve(law, lengths=LENGTHS, *, operator="flash", noise=0.01, seed=0, rounds=5, phase=Phase.FORWARD, cost=None):
    random = np.random.default_rng(seed)
    records = []
    for length in lengths:
        point = make_point(operator, length, phase=phase)
        visits = [
            make_visit(point, [law(length) * math.exp(noise * random.standard_normal())] * 3, round=n)
            for n in range(rounds)
        ]
        records.append(replace(record_of(point, visits), cost=cost(point) if cost else None))
    return records


@pytest.mark.parametrize("law", [attention_s, hyena_s])
def test_exact_times_give_their_law_back(law):
    best = fit_models({length: law(length) for length in LENGTHS})[0]
    assert best.residual < 1e-6
    assert best.at(3000) == pytest.approx(law(3000), rel=1e-6)


def test_coefficients_are_never_negative_and_match_the_law():
    (best, *_) = fit_models({length: attention_s(length) for length in LENGTHS})
    assert best.coefficients == pytest.approx((5e-5, 2e-7, 0.0, 3e-11), rel=1e-5, abs=1e-15)
    falling = fit_models({length: 1.0 / length for length in LENGTHS})
    assert min(min(model.coefficients) for model in falling) >= 0


def test_three_lengths_make_no_model():
    assert fit_models({1024: 1.0, 2048: 2.0, 4096: 4.0}) == ()


def test_models_that_fit_far_worse_are_dropped():
    names = {model.name for model in fit_models({length: attention_s(length) for length in LENGTHS})}
    assert "abc" not in names
    assert {"abcd", "abd"} <= names


def test_interval_covers_the_truth_at_twice_and_four_times_the_longest():
    random = np.random.default_rng(4)
    covered = {2: 0, 4: 0}
    for _ in range(40):
        fixed, linear = random.uniform(0, 3e-4), random.uniform(5e-8, 3e-7)

        def law(length, fixed=fixed, linear=linear):
            return fixed + linear * length + 3e-11 * length**2

        seen = {length: law(length) * math.exp(0.01 * random.standard_normal()) for length in LENGTHS}
        models = fit_models(seen)
        for factor in covered:
            low, high = interval_at(seen, models, factor * LENGTHS[-1])
            covered[factor] += low <= law(factor * LENGTHS[-1]) <= high
    assert min(covered.values()) >= 0.9 * 40


def test_prediction_gives_a_point_to_twice_an_interval_to_four_times_and_then_nothing():
    scaling = scaling_of(curve(attention_s))
    longest = LENGTHS[-1]
    twice, four = scaling.predict(2 * longest), scaling.predict(4 * longest)
    assert twice.latency_s == pytest.approx(attention_s(2 * longest), rel=0.05)
    assert twice.extrapolated
    assert four.latency_s is None
    assert four.low_s < attention_s(4 * longest) < four.high_s
    assert scaling.predict(4 * longest + 1) is None
    assert scaling.predict(512) is None
    assert not scaling.predict(3000).extrapolated


def test_nothing_is_predicted_across_a_memory_limit():
    failure = make_failure(make_point("flash", 2 * LENGTHS[-1]), Outcome.OOM)
    scaling = scaling_of([*curve(attention_s), failure])
    assert scaling.memory_limit == 2 * LENGTHS[-1]
    assert scaling.predict(2 * LENGTHS[-1]) is None
    assert scaling.predict(2 * LENGTHS[-1] - 64) is not None


def test_growth_of_a_pure_power_is_its_exponent():
    scaling = scaling_of(curve(lambda length: 1e-9 * length**1.5, noise=0.01))
    assert scaling.overall.exponent == pytest.approx(1.5, abs=0.02)
    assert scaling.overall.low < 1.5 < scaling.overall.high
    assert scaling.overall.lengths == (1024, 65536)
    assert scaling.local.lengths == (16384, 65536)


def test_local_growth_is_that_of_the_longest_lengths():
    scaling = scaling_of(curve(attention_s, noise=0.001))
    slope = math.log(attention_s(65536) / attention_s(16384)) / math.log(4)
    assert scaling.local.exponent == pytest.approx(slope, abs=0.01)
    assert scaling.overall.exponent < slope - 0.1


def test_constant_time_is_not_attentions_growth():
    """An attention-like operator with constant time from 64k to 512k: a capped window, or not the work it claims."""
    scaling = scaling_of(curve(lambda _: 0.02, [65536 * 2**k for k in range(4)]))
    assert scaling.warning.startswith("flash:sdpa does not scale like its stated cost: from 131072 to 524288")
    assert scaling.warning.endswith("its cost as L^2 in the limit of long sequences")


@pytest.mark.parametrize(("law", "operator"), [(attention_s, "flash"), (hyena_s, "hyena")])
def test_operators_that_grow_as_stated_are_not_flagged(law, operator):
    assert scaling_of(curve(law, operator=operator)).warning is None


def test_short_attention_still_linear_is_not_flagged():
    assert scaling_of(curve(attention_s, (256, 512, 1024, 2048))).warning is None


def test_a_linear_operator_that_grows_quadratically_is_flagged():
    warning = scaling_of(curve(lambda length: 1e-10 * length**2, operator="hyena")).warning
    assert "L^2.00" in warning
    assert "L^1 in the limit" in warning


def test_two_octaves_are_needed_to_call_a_growth_another():
    for lengths in ((1024, 2048), (1024, 65536), (1024, 1500, 2048)):
        assert scaling_of(curve(lambda _: 0.02, lengths)).warning is None
    assert scaling_of(curve(lambda _: 0.02, (1024, 2048, 4096))).warning is not None


def test_growth_of_single_values_has_no_interval_and_is_still_held_to_its_cost():
    scaling = scaling_of(curve(lambda _: 0.02, rounds=1, noise=0.0))
    assert (scaling.local.low, scaling.local.high) == (None, None)
    assert (scaling.overall.low, scaling.overall.high) == (None, None)
    assert exponent_interval(scaling.local) == f"L^0.00 {UNKNOWN}"
    assert "does not scale" in scaling.warning


def test_what_growth_is_over_is_named_by_what_there_is():
    long, short = (scaling_of(curve(attention_s, lengths)).local for lengths in (LENGTHS, (1024, 2048)))
    assert stretch_words([long, None]) == "the last two octaves"
    assert stretch_words([short]) == "the measured lengths"
    assert stretch_words([long, short]) == "the measured lengths, the last two octaves at most"


def test_analytic_flops_are_preferred_to_the_limit():
    records = curve(lambda _: 0.02, (64, 128, 256), operator="hyena", cost=make_cost)
    assert scaling_of(records).warning.endswith("its analytic FLOPs as L^1.00")


def test_an_operator_outside_the_table_is_judged_by_the_exponent_passed_in():
    records = curve(lambda _: 0.02, operator="mine.module:Mine")
    assert scaling_of(records).warning is None
    assert scaling_of(records, exponent=2.0).warning is not None


def test_noise_is_not_called_another_growth():
    flagged = [scaling_of(curve(hyena_s, (1024, 2048), operator="hyena", noise=0.2, seed=n)).warning for n in range(20)]
    assert sum(warning is not None for warning in flagged) <= 1


def test_nothing_measured_has_no_scaling():
    assert scaling_of([make_failure(make_point("flash", 1024))]) is None


def test_one_length_has_no_growth_and_predicts_nothing():
    scaling = scaling_of(curve(attention_s, (1024,)))
    assert (scaling.local, scaling.overall, scaling.models, scaling.predict(2048)) == (None, None, (), None)


@pytest.mark.parametrize("law", [attention_s, hyena_s])
def test_planning_upward_errs_to_the_long_side_by_little(law):
    for count in (1, 2, 4):
        seen = {length: law(length) for length in LENGTHS[:count]}
        length = 2 * max(seen)
        planned = predict_for_planning(seen, length, attention_s(length) / attention_s(max(seen)))
        assert law(length) < planned < 2 * law(length)


@pytest.mark.parametrize("law", [attention_s, hyena_s])
def test_planning_downward_errs_to_the_long_side_by_little(law):
    for seen in ({4096: law(4096)}, {length: law(length) for length in LENGTHS[2:]}):
        planned = predict_for_planning(seen, 2048, 0.4)
        assert law(2048) < planned < 2 * law(2048)
        assert planned <= 1.1 * law(4096)


def test_planning_between_two_lengths_interpolates():
    planned = predict_for_planning({1024: 1.0, 4096: 4.0}, 2048, 0.5)
    assert planned == pytest.approx(1.1 * 2.0)


def test_planning_at_a_measured_length_is_the_measurement():
    assert predict_for_planning({1024: 1.0, 4096: 4.0}, 4096, 1.0) == 4.0


def test_planning_believes_no_absurd_growth():
    planned = predict_for_planning({1024: 1e-6, 2048: 1.0}, 4096, 2.0)
    assert planned == pytest.approx(1.1 * 8.0)


def test_planning_from_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing was observed"):
        predict_for_planning({}, 1024, 1.0)


def test_nearest_length_is_on_a_logarithmic_scale():
    assert nearest_length({1024: 1.0, 8192: 1.0}, 3000) == 8192
    assert nearest_length({1024: 1.0, 4096: 1.0}, 2048) == 4096
