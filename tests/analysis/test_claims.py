"""Published claims held against records whose answer is known, the data of the paper's own figure first."""

from dataclasses import replace

import pytest
from builders import make_cost, make_point, make_visit
from simulator import record_of

from hyenaprof.analysis.claim_checks import CURVE_CONDITIONS, Known, judge_claims
from hyenaprof.analysis.claims import ClaimsFile, Verdict, load_claims
from hyenaprof.errors import ScenarioError
from hyenaprof.model import MemoryLine, Phase
from hyenaprof.resources import claims_files, scenario_files

FIGURE_4_3_MS = {
    "hyena": (0.90, 1.16, 1.47, 1.50, 2.84, 5.41, 11.32),
    "attention": (0.40, 1.25, 2.16, 6.17, 21.74, 90.71),
    "flash": (0.29, 0.30, 0.63, 2.10, 8.33, 32.85, 129.07),
}
"""Data of Figure 4.3 of arXiv:2302.10866, by doubling length from 1024."""
UNSTATED = Known(stated=frozenset())


def figure():
    return [
        record_of(point, [make_visit(point, [1e-3 * time])])
        for name, times in FIGURE_4_3_MS.items()
        for step, time in enumerate(times)
        for point in (make_point(name, 1024 * 2**step),)
    ]


def measured(operator, law, lengths=(1024, 2048, 4096, 8192), scatter=0.005, **point):
    """Three rounds that scatter by one per cent, or twice as much as is said, about a law."""
    records = []
    for length in lengths:
        key = make_point(operator, length, **point)
        sign = 1 if operator == "hyena" else -1
        visits = [make_visit(key, [law(length) * (1 + sign * scatter * (n - 1))] * 3, round=n) for n in range(3)]
        records.append(replace(record_of(key, visits), cost=make_cost(key)))
    return records


def linear(length):
    return 1e-6 * length


def one(check, **conditions):
    claim = {"id": "it", "statement": "It is so.", "where": "here", "conditions": conditions, "check": check}
    return ClaimsFile.model_validate({"name": "source", "source": "Somebody 2024", "claims": [claim]})


def judged(check, records, known=None, **conditions):
    return judge_claims([one(check, **conditions)], records, known)


def ratio(value, length=4096, kind="ratio", incumbent="flash", **more):
    return {"kind": kind, "challenger": "hyena", "incumbent": incumbent, "length": length, "value": value, **more}


def crossover(low, high, **more):
    return {"kind": "crossover", "challenger": "hyena", "incumbent": "flash", "low": low, "high": high, **more}


def test_the_papers_own_data_deny_its_headlines_and_bear_out_its_crossovers():
    (file,) = (load_claims(path) for name, path in claims_files().items() if name == "hyena-paper")
    found = {result.claim.id: result for result in judge_claims([file], figure(), UNSTATED)}
    assert (found["2x-at-8k"].verdict, found["2x-at-8k"].measured) == (Verdict.NOT_REPRODUCED, "1.4x")
    assert (found["100x-at-64k"].verdict, found["100x-at-64k"].measured) == (Verdict.NOT_REPRODUCED, "11.4x")
    assert (found["crossover-flash"].verdict, found["crossover-flash"].measured) == (Verdict.REPRODUCED, "6727")
    assert (found["crossover-attention"].verdict, found["crossover-attention"].measured) == (Verdict.REPRODUCED, "1932")
    assert found["20-percent-fewer-flops"].verdict is Verdict.NOT_COMPARABLE


@pytest.mark.parametrize("name", claims_files())
def test_shipped_claims_are_read_and_name_a_shipped_scenario(name):
    file = load_claims(claims_files()[name])
    assert file.name == name
    assert file.scenario in scenario_files()
    assert len({claim.id for claim in file.claims}) == len(file.claims)


def test_the_figures_data_reproduce_themselves():
    file = load_claims(claims_files()["hyena-fig4.3"])
    assert {result.verdict for result in judge_claims([file], figure(), UNSTATED)} == {Verdict.REPRODUCED}


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"batch": 64}, "stated batch 64, measured with 1"),
        ({"phase": "training"}, "stated phase training, measured with forward"),
        ({"dtype": "bfloat16"}, "stated dtype bfloat16, measured with float32"),
        ({"device": "cuda"}, "stated device cuda, measured with cpu"),
        ({"options": {"hyena.order": 3}}, "stated hyena.order 3, measured with 2"),
        ({"device_name": "RTX PRO 6000"}, "stated on RTX PRO 6000, measured on Example CPU"),
    ],
)
def test_a_stated_condition_that_differs_is_not_comparable(conditions, reason):
    records = measured("hyena", linear) + measured("flash", lambda n: 3 * linear(n))
    known = Known(frozenset(CURVE_CONDITIONS), "Example CPU")
    (result,) = judged(ratio(2), records, known, **conditions)
    assert (result.verdict, result.reason) == (Verdict.NOT_COMPARABLE, reason)


def test_an_unstated_condition_blocks_nothing_and_the_setting_is_named():
    records = measured("hyena", linear, batch=8) + measured("flash", lambda n: 3 * linear(n), batch=8)
    (result,) = judged(ratio(2), records, heads=12)
    assert result.verdict is Verdict.REPRODUCED
    assert result.setting == ("layer", "forward", "batch 8", "width 768", "heads 12", "float32", "cpu")


def test_what_the_records_do_not_state_blocks_nothing():
    records = measured("hyena", linear) + measured("flash", lambda n: 3 * linear(n))
    (result,) = judged(ratio(2), records, UNSTATED, batch=64)
    assert result.verdict is Verdict.REPRODUCED
    assert result.setting == ()
    assert result.unchecked == ("batch 64",)


def test_stated_conditions_that_the_records_do_not_state_are_named_as_unchecked():
    records = measured("hyena", linear) + measured("flash", lambda n: 3 * linear(n))
    stated = {"phase": "training", "device_name": "RTX PRO 6000"}
    (result,) = judged(ratio(2), records, UNSTATED, **stated)
    assert (result.verdict, result.unchecked) == (Verdict.REPRODUCED, ("phase training", "RTX PRO 6000"))
    (known,) = judged(ratio(2), records, Known(frozenset(CURVE_CONDITIONS), "Example CPU"), phase="forward")
    assert known.unchecked == ()


def test_growth_of_single_values_is_held_by_the_tolerance_alone():
    def judge(exponent):
        return judged({"kind": "growth", "operator": "attention", "exponent": exponent}, figure(), UNSTATED)[0]

    assert (judge(2).verdict, judge(2).measured) == (Verdict.REPRODUCED, "L^1.94")
    assert judge(2).reason == "from 8192 to 32768, single values"
    assert judge(1.5).verdict is Verdict.NOT_REPRODUCED


def test_every_setting_gets_its_own_verdict_and_incomparable_ones_step_aside():
    records = []
    for phase, factor in ((Phase.FORWARD, 3.0), (Phase.TRAINING, 1.5)):
        records += measured("hyena", linear, phase=phase)
        records += measured("flash", lambda n, f=factor: f * linear(n), phase=phase)
    records += measured("hyena", linear, batch=4) + measured("flash", linear, batch=4)
    results = judged(ratio(2), records, batch=1)
    assert [(r.verdict, r.setting[1]) for r in results] == [
        (Verdict.REPRODUCED, "forward"),
        (Verdict.NOT_REPRODUCED, "training"),
    ]


def test_the_reason_is_that_of_the_setting_which_came_closest():
    records = []
    for phase in (Phase.FORWARD, Phase.TRAINING):
        records += measured("hyena", linear, phase=phase) + measured("flash", linear, phase=phase)
    (result,) = judged(ratio(2), records, phase="training", device="cuda")
    assert result.reason == "stated device cuda, measured with cpu"


def test_a_ratio_is_reached_within_its_tolerance_and_says_its_interval():
    records = measured("hyena", linear) + measured("flash", lambda n: 1.9 * linear(n))
    (result,) = judged(ratio(2, tolerance=0.1), records)
    assert result.verdict is Verdict.REPRODUCED
    assert result.measured.startswith("1.9x [1.")
    (strict,) = judged(ratio(2, tolerance=0.0), records)
    assert strict.verdict is Verdict.NOT_REPRODUCED


def test_a_ratio_between_measured_lengths_is_interpolated_and_says_so():
    records = measured("hyena", linear) + measured("flash", lambda n: linear(n) * n / 1024)
    (result,) = judged(ratio(5.66, length=5793), records)
    assert result.measured == "5.66x"
    assert result.reason.startswith("interpolated between measured lengths")


def test_a_length_out_of_reach_is_not_comparable():
    records = measured("hyena", linear) + measured("flash", linear)
    (result,) = judged(ratio(100, length=65536), records)
    assert result.reason == "measured from 1024 to 8192, not around 65536"


def test_a_crossover_in_its_range_is_reproduced_and_elsewhere_not():
    records = measured("hyena", linear) + measured("flash", lambda n: linear(n) * n / 3000)
    assert judged(crossover(2048, 4096), records)[0].verdict is Verdict.REPRODUCED
    (outside,) = judged(crossover(6000, 8000, tolerance=0.1), records)
    assert (outside.verdict, outside.reason) == (Verdict.NOT_REPRODUCED, "outside 5400 to 8800")


def test_an_estimate_outside_a_range_that_its_interval_reaches_into_is_said_to_be_outside():
    records = [
        *measured("hyena", linear, scatter=0.1),
        *measured("flash", lambda n: linear(n) * n / 3000, scatter=0.1),
    ]
    (found,) = judged(crossover(3300, 4096), records)
    assert found.verdict is Verdict.REPRODUCED
    assert found.reason == "outside, but its interval reaches into 3300 to 4096"
    (half,) = judged(ratio(1.6), records)
    assert half.verdict is Verdict.REPRODUCED
    assert half.reason == "measured there; 10 % less still counts; its interval alone reaches that"


def test_an_interval_that_only_touches_the_end_of_a_range_does_not_reproduce_it():
    lengths = (1024, 2048)
    records = [
        *measured("hyena", linear, lengths, scatter=0.04),
        *measured("flash", lambda n: linear(n) * n / 1400, lengths, scatter=0.04),
    ]
    (found,) = judged(crossover(2048, 4096), records)
    assert found.measured.endswith(", 2048]"), "as wide as what was measured"
    assert (found.verdict, found.reason) == (Verdict.NOT_REPRODUCED, "outside 2048 to 4096")


def test_a_crossover_past_what_was_measured_is_not_comparable_but_one_passed_by_is_denied():
    records = measured("hyena", linear) + measured("flash", lambda n: 0.5 * linear(n))
    (past,) = judged(crossover(6000, 16384), records)
    assert past.reason == "measured only up to 8192, where flash:sdpa still leads"
    (denied,) = judged(crossover(2048, 4096), records)
    assert (denied.verdict, denied.measured) == (Verdict.NOT_REPRODUCED, "> 8192")


def test_a_lead_from_the_start_denies_a_later_crossover():
    records = measured("hyena", linear) + measured("flash", lambda n: 2 * linear(n))
    (denied,) = judged(crossover(2048, 4096), records)
    assert (denied.verdict, denied.measured) == (Verdict.NOT_REPRODUCED, "< 1024")
    (before,) = judged(crossover(512, 4096), records)
    assert before.verdict is Verdict.NOT_COMPARABLE


def test_equal_sides_deny_a_crossover():
    records = measured("hyena", linear) + measured("flash", linear)
    (denied,) = judged(crossover(2048, 4096), records)
    assert denied.reason == "the two are practically equal from 1024 to 8192"


def test_growth_is_held_against_the_longest_lengths():
    records = measured("flash", lambda n: 1e-9 * n**2)
    assert judged({"kind": "growth", "operator": "flash", "exponent": 2}, records)[0].verdict is Verdict.REPRODUCED
    (denied,) = judged({"kind": "growth", "operator": "flash", "exponent": 1}, records)
    assert denied.verdict is Verdict.NOT_REPRODUCED
    assert denied.measured.startswith("L^2.00 [")


def test_memory_is_held_against_peak_memory():
    def remembering(records, law):
        return [
            replace(
                r,
                memory=MemoryLine(
                    point=r.point, peak_bytes=law(r.point.shape.length), method="exact", fingerprint_id=r.fingerprint_id
                ),
            )
            for r in records
        ]

    records = remembering(measured("hyena", linear), lambda n: 100 * n)
    records += remembering(measured("flash", linear), lambda n: 800 * n)
    (result,) = judged(ratio(8, kind="memory"), records)
    assert (result.verdict, result.measured) == (Verdict.REPRODUCED, "8x [8, 8]")


def test_flops_are_held_against_the_analytic_cost():
    records = measured("hyena", linear)
    dearer = measured("attention", linear)
    records += [replace(r, cost=r.cost.model_copy(update={"flops": 1.3 * r.cost.flops})) for r in dearer]
    (result,) = judged(ratio(1.25, kind="flops", incumbent="attention"), records)
    assert (result.verdict, result.measured) == (Verdict.REPRODUCED, "1.3x")


def test_parameters_that_do_not_grow_are_sublinear():
    (result,) = judged({"kind": "parameters", "operator": "hyena", "below": 1}, measured("hyena", linear))
    assert (result.verdict, result.measured) == (Verdict.REPRODUCED, "L^0.00")


def test_sides_that_never_met_are_said():
    (result,) = judged(ratio(2), measured("hyena", linear))
    assert result.reason == "hyena and flash were not measured in one setting"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "is no YAML"),
        ("name: a\nsource: b\nclaims: []\n", "claims"),
        ("name: a\nsource: b\ncolour: red\nclaims: []\n", "claims"),
        ("name: a\nsource: b\nclaims:\n- {id: x, statement: s, where: w, check: {kind: magic}}\n", "magic"),
    ],
)
def test_bad_claims_are_refused_in_one_sentence(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError, match=message):
        load_claims(path)


GOOD = """name: a
source: b
claims:
- id: x
  statement: s
  where: w
  conditions: {phase: forward, batch: 1}
  check: {kind: ratio, challenger: hyena, incumbent: flash, length: 1024, value: 2}
"""


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("name: a\n", "", "bad.yaml has no key name", "write name: ..."),
        ("  where: w\n", "", "bad.yaml: claim 'x' has no key where", "write where: ..."),
        (", value: 2", "", "bad.yaml: claim 'x' has no key check.value", "write value: ..."),
        ("kind: ratio, ", "", "bad.yaml: claim 'x' has no key check.kind", "kinds: ratio, memory"),
        ("ratio", "rato", "bad.yaml: claim 'x': check.kind 'rato' is not known", "did you mean 'ratio'?"),
        ("forward", "forwad", "bad.yaml: claim 'x': conditions.phase 'forwad' is not known", "did you mean 'forward'?"),
        ("  where: w", "  where: w\n  were: w", "bad.yaml: claim 'x' has an unknown key were", "did you mean 'where'?"),
        ("value: 2", "value: 2, tolerence: 0", "bad.yaml: claim 'x' has an unknown key check.tolerence", "tolerance"),
        ("batch: 1", "batsh: 1", "bad.yaml: claim 'x' has an unknown key conditions.batsh", "did you mean 'batch'?"),
        ("name: a", "nam: a\nname: a", "bad.yaml has an unknown key nam", "did you mean 'name'?"),
        ("batch: 1", "batch: 0", "bad.yaml: claim 'x': conditions.batch 0 is below 1", "shipped"),
        ("value: 2", "value: many", "bad.yaml: claim 'x': check.value 'many' is not a number", "shipped"),
        ("length: 1024", "length: 1k", "bad.yaml: claim 'x': check.length '1k' is not a whole number", "shipped"),
        (GOOD, "- a", "bad.yaml holds no mapping", "name, source and claims"),
        ("name: a", "name: 2024-13-45", "bad.yaml is no YAML: month must be in 1..12", "shipped"),
    ],
)
def test_what_is_wrong_with_claims_is_said_in_plain_words(tmp_path, old, new, message, hint):
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD)
    assert load_claims(path).name == "a"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ScenarioError) as refusal:
        load_claims(path)
    assert refusal.value.message == message
    assert hint in refusal.value.hint


def test_missing_claims_are_named(tmp_path):
    with pytest.raises(ScenarioError, match=r"no claims none.yaml"):
        load_claims(tmp_path / "none.yaml")
