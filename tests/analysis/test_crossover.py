"""Crossovers of records whose truth is known: states, pairing, censoring, and one clear sentence each."""

import math
from dataclasses import replace
from random import Random

import pytest
from builders import make_failure, make_point, make_record, make_records, make_visit
from simulator import record_of

from hyenaprof.analysis.crossover import challenger_first, find, find_all, sentence, statements
from hyenaprof.model import CrossoverState, MemoryLine, Outcome, Phase
from hyenaprof.operators import OPERATORS

LENGTHS = (1024, 2048, 4096, 8192, 16384)


def side(operator, law, lengths=LENGTHS, *, rounds=5, spread=0.002, **point):
    """Records whose rounds scatter symmetrically about a law, the two operators in opposite directions."""
    sign = 1 if operator == "hyena" else -1
    records = []
    for length in lengths:
        key = make_point(operator, length, **point)
        visits = [
            make_visit(key, [law(length) * math.exp(sign * spread * (number - (rounds - 1) / 2))] * 3, round=number)
            for number in range(rounds)
        ]
        records.append(record_of(key, visits))
    return records


def linear(length):
    return 1e-6 * length


def quadratic(length):
    return 1e-6 * length**2 / 3000


def test_a_crossing_is_resolved_with_interval_bracket_and_leader():
    found = find(side("hyena", linear), side("flash", quadratic))
    (flip,) = found.flips
    assert found.state is CrossoverState.RESOLVED
    assert flip.length == pytest.approx(3000, rel=0.005)
    assert flip.low < 3000 < flip.high
    assert flip.bracket == (2048, 4096)
    assert flip.significant == (2048, 4096)
    assert flip.leader_after == "hyena:fft"
    assert found.range == (1024, 16384)
    assert [c.ratio for c in found.comparisons] == pytest.approx([n / 3000 for n in LENGTHS])
    assert sentence(found).startswith("forward: hyena overtakes flash between 2048 and 4096, at about 300")


def test_lengths_out_of_order_change_nothing():
    ours, theirs = side("hyena", linear), side("flash", quadratic)
    assert find(ours[::-1], theirs[2:] + theirs[:2]) == find(ours, theirs)


def test_duplicated_records_change_nothing():
    ours, theirs = side("hyena", linear), side("flash", quadratic)
    assert find(ours * 2, theirs + theirs[1:3]) == find(ours, theirs)


def test_the_same_records_give_the_same_interval():
    ours, theirs = side("hyena", linear, spread=0.02), side("flash", quadratic, spread=0.02)
    assert find(ours, theirs) == find(ours, theirs)


def test_incumbent_ahead_throughout_is_not_in_range():
    found = find(side("hyena", linear), side("flash", lambda length: 0.5 * linear(length)))
    assert (found.state, found.winner) == (CrossoverState.NONE_IN_RANGE, "flash:sdpa")
    assert sentence(found) == "forward: not in range: flash is faster up to 16384 (2x there)"


def test_challenger_ahead_from_the_start_is_said_so():
    found = find(side("hyena", linear), side("flash", lambda length: 3 * linear(length)))
    assert sentence(found) == "forward: not in range: hyena is faster already from 1024 up to 16384 (3x there)"
    close = replace(found.comparisons[0], ratio=1.01, low=0.9, high=1.1)
    told = sentence(replace(found, comparisons=(close, *found.comparisons[1:])))
    assert "hyena is faster from 2048 (below it neither clearly is, from 1024) up to 16384" in told


def test_incumbent_that_ran_out_of_memory_ahead_censors_the_crossover():
    failures = [make_failure(make_point("attention", length), Outcome.OOM) for length in (32768, 65536)]
    ours = side("hyena", linear, (*LENGTHS, 32768))
    theirs = side("attention", lambda length: 0.5 * linear(length)) + failures
    found = find(ours, theirs)
    assert found.state is CrossoverState.CENSORED
    assert found.reason == "attention:math stopped at 32768: out of memory"
    assert sentence(found) == (
        "forward: not in range: attention is faster up to 16384 (2x there); attention stopped at 32768: out of memory"
    )


def test_a_side_that_stopped_is_named_with_one_common_length():
    failure = make_failure(make_point("hyena", 2048), Outcome.OOM)
    ours, theirs = [*side("hyena", linear, (1024,)), failure], side("flash", quadratic, (1024, 2048))
    found = find(ours, theirs)
    assert (found.state, found.reason) == (CrossoverState.CENSORED, "hyena:fft stopped at 2048: out of memory")
    assert sentence(found).endswith("where they cross cannot be said; hyena stopped at 2048: out of memory")
    leading = find([*side("hyena", lambda n: 0.1 * linear(n), (1024,)), failure], theirs)
    assert (leading.state, leading.winner) == (CrossoverState.CENSORED, "hyena:fft")


def test_a_side_that_stopped_before_any_common_length_is_named():
    failure = make_failure(make_point("hyena", 2048), Outcome.OOM)
    found = find([*side("hyena", linear, (1024,)), failure], side("flash", quadratic, (2048,)))
    assert sentence(found).endswith("at no common length; hyena stopped at 2048: out of memory")


def test_a_side_that_stopped_is_named_where_noise_hides_the_leader_or_there_is_none():
    failure = make_failure(make_point("flash", 32768), Outcome.TIMEOUT)
    noisy = side("flash", lambda n: (0.96 if n < 4000 else 1.05) * linear(n), rounds=3, spread=0.2)
    hidden = find(side("hyena", linear, rounds=3, spread=0.2), [*noisy, failure])
    equal = find(side("hyena", linear), [*side("flash", lambda n: 1.005 * linear(n)), failure])
    for found in (hidden, equal):
        assert sentence(found).endswith("; flash stopped at 32768: timeout")


def test_two_rounds_say_why_there_is_no_interval():
    pair = [side(name, law, rounds=2) for name, law in (("hyena", linear), ("flash", lambda n: 3 * linear(n)))]
    leading = find(*pair)
    assert sentence(leading).endswith("(3x there; 2 rounds: an interval needs 3)")
    assert leading.warnings == ()  # the sentence says it
    crossing = find(pair[0], side("flash", quadratic, rounds=2))
    assert crossing.warnings == ("2 rounds: an interval needs 3",)


def test_both_sides_out_of_budget_are_both_named():
    over = [make_failure(make_point(name, 32768), Outcome.OVER_BUDGET) for name in ("hyena", "flash")]
    found = find([*side("hyena", linear), over[0]], [*side("flash", lambda n: 0.5 * linear(n)), over[1]])
    assert found.reason == "hyena:fft stopped at 32768: over budget; flash:sdpa stopped at 32768: over budget"


def test_a_failure_past_a_resolved_crossing_leaves_it_resolved():
    failure = make_failure(make_point("flash", 32768), Outcome.TIMEOUT)
    found = find(side("hyena", linear), [*side("flash", quadratic), failure])
    assert found.state is CrossoverState.RESOLVED
    assert found.reason == "flash:sdpa stopped at 32768: timeout"


def test_two_changes_of_lead_are_both_listed():
    def arch(length):
        return linear(length) * math.exp(0.1 * math.log2(length / 1500) * math.log2(24000 / length))

    lengths = tuple(1024 * 2**k for k in range(6))
    found = find(side("hyena", linear, lengths), side("flash", arch, lengths))
    assert found.state is CrossoverState.SEVERAL
    assert [flip.leader_after for flip in found.flips] == ["hyena:fft", "flash:sdpa"]
    assert [flip.length for flip in found.flips] == pytest.approx([1500, 24000], rel=0.02)
    assert "2 changes of the lead: hyena overtakes flash" in sentence(found)
    assert "; flash overtakes hyena between" in sentence(found)


def test_half_a_percent_apart_is_practically_equal():
    found = find(side("hyena", linear), side("flash", lambda length: 1.005 * linear(length)))
    assert found.state is CrossoverState.EQUAL
    assert sentence(found) == "forward: hyena and flash are practically equal (within 2 %) from 1024 to 16384"


def test_an_equal_stretch_before_the_lead_is_named():
    found = find(
        side("hyena", lambda length: max(linear(length), 4.096e-3)),
        side("flash", lambda length: max(4.1e-3, 1.0e-6 * length**2 / 4096)),
    )
    assert found.state is CrossoverState.NONE_IN_RANGE
    assert found.equal_zone == (1024, 4096)
    assert sentence(found).endswith("; practically equal (within 2 %) from 1024 to 4096")


def test_noise_that_hides_the_leader_is_unresolved():
    ours = side("hyena", linear, rounds=3, spread=0.2)
    theirs = side("flash", lambda length: (0.96 if length < 4000 else 1.05) * linear(length), rounds=3, spread=0.2)
    found = find(ours, theirs)
    assert found.state is CrossoverState.UNRESOLVED
    assert sentence(found) == (
        "forward: unresolved: the lead seems to change between 2048 and 4096, but noise hides it"
    )


def test_nothing_measured_gives_the_reason():
    theirs = [make_failure(make_point("flash", length), Outcome.CRASHED, "signal 11") for length in LENGTHS]
    found = find(side("hyena", linear), theirs)
    assert found.state is CrossoverState.NO_DATA
    assert sentence(found) == "forward: hyena and flash cannot be compared: flash was measured nowhere: signal 11"


def test_no_common_length_is_said():
    found = find(side("hyena", linear, (1024,)), side("flash", linear, (2048,)))
    assert sentence(found).endswith("the two sides were measured at no common length")


def test_one_length_says_who_leads_there_and_no_more():
    found = find(side("hyena", linear, (4096,)), side("flash", quadratic, (4096,)))
    assert sentence(found) == (
        "forward: hyena is faster at 4096, the only length measured on both sides (1.37x):"
        " where they cross cannot be said"
    )


def test_an_empty_run_is_one_statement():
    assert statements([]) == ("nothing was measured: there is no record to look for a crossover in",)


def test_one_operator_is_one_statement():
    assert statements(side("hyena", linear)) == ("only hyena is there: a crossover needs two operators",)


def test_operators_that_share_no_setting_are_one_statement():
    records = side("hyena", linear) + side("flash", quadratic, width=1536, heads=12)
    (told,) = statements(records)
    assert told.startswith("flash, hyena share no scope, phase")


def test_all_points_failed_is_one_statement_a_phase():
    failed = [make_failure(make_point(name, 1024), Outcome.OOM, "needs 48 GiB") for name in ("hyena", "flash")]
    assert statements(failed) == (
        "forward: hyena and flash cannot be compared: hyena was measured nowhere: needs 48 GiB",
    )


def test_single_values_give_bracket_and_interpolation_and_say_so():
    found = find(side("hyena", linear, rounds=1), side("flash", quadratic, rounds=1))
    (flip,) = found.flips
    assert found.state is CrossoverState.RESOLVED
    assert (flip.low, flip.high) == (None, None)
    assert flip.length == pytest.approx(3000)
    assert flip.bracket == (2048, 4096)
    assert found.warnings == ("single values: no interval can be had",)
    assert sentence(found) == "forward: hyena overtakes flash between 2048 and 4096, at about 3000"


def test_a_crossing_exactly_on_a_measured_length_is_found_there():
    def crossing(length):
        return linear(length) * length / 4096

    found = find(side("hyena", linear, rounds=1), side("flash", crossing, rounds=1))
    (flip,) = found.flips
    assert flip.length == pytest.approx(4096)
    assert flip.bracket == (2048, 8192)
    noisy = find(side("hyena", linear), side("flash", crossing))
    assert noisy.flips[0].length == pytest.approx(4096, rel=0.01)
    assert noisy.flips[0].low < 4096 < noisy.flips[0].high


def with_memory(records, law):
    return [record_of_memory(record, law(record.point.shape.length)) for record in records]


def record_of_memory(record, peak_bytes):
    line = MemoryLine(point=record.point, peak_bytes=peak_bytes, method="exact", fingerprint_id=record.fingerprint_id)
    return type(record)(record.fingerprint_id, record.point, Outcome.OK, None, record.visits, memory=line)


def test_peak_memory_crosses_exactly_without_interval():
    ours = with_memory(side("hyena", linear), lambda length: 3000 * 100 * length)
    theirs = with_memory(side("attention", linear), lambda length: 100 * length**2)
    found = find(ours, theirs, metric="peak_memory")
    (flip,) = found.flips
    assert flip.length == pytest.approx(3000)
    assert (flip.low, flip.high) == (None, None)
    assert flip.significant == (2048, 4096)
    assert found.warnings == ()
    assert sentence(found) == ("forward, peak memory: hyena undercuts attention between 2048 and 4096, at about 3000")


def test_memory_that_was_not_measured_is_said():
    found = find(side("hyena", linear), side("flash", linear), metric="peak_memory")
    assert sentence(found).endswith("no peak memory was measured")


def test_energy_crosses_by_its_own_visits():
    def energetic(records, law):
        return [
            record_of(r.point, [v.model_copy(update={"energy_j": law(r.point.shape.length)}) for v in r.visits])
            for r in records
        ]

    ours = energetic(side("hyena", linear), lambda length: 1e-3 * length)
    theirs = energetic(side("flash", linear), lambda length: 1e-3 * length**2 / 6000)
    found = find(ours, theirs, metric="energy")
    assert found.flips[0].length == pytest.approx(6000, rel=1e-6)
    assert find(ours, theirs).state is CrossoverState.EQUAL


def test_sides_without_common_rounds_are_compared_unpaired_and_said_to_be():
    theirs = [
        record_of(r.point, [v.model_copy(update={"round": v.round + 50}) for v in r.visits])
        for r in side("flash", quadratic, spread=0.01)
    ]
    found = find(side("hyena", linear, spread=0.01), theirs)
    assert sentence(found).endswith("; not paired at 5 of 5 lengths")
    assert found.flips[0].low < 3000 < found.flips[0].high


def test_challenger_is_the_side_of_lower_growth_whichever_comes_first():
    hyena, flash = make_point("hyena").curve, make_point("flash").curve
    assert challenger_first(hyena, flash) == challenger_first(flash, hyena) == (hyena, flash)


def test_of_equal_growth_the_earlier_in_the_table_challenges():
    flash, attention = make_point("flash").curve, make_point("attention").curve
    assert challenger_first(attention, flash) == (flash, attention)


def test_the_plain_implementation_is_the_incumbent_of_its_own_operator():
    plain, other = make_point("hyena").curve, make_point("hyena", implementation="zz-new").curve
    assert challenger_first(plain, other) == challenger_first(other, plain) == (other, plain)


def test_operators_outside_the_table_are_placed_by_argument():
    mine, flash = make_point("mine.module:Mine", implementation="a").curve, make_point("flash").curve
    assert challenger_first(mine, flash) == (flash, mine)
    assert challenger_first(mine, flash, {"mine.module:Mine": 1.0}) == (mine, flash)


def test_every_phase_and_pair_is_found_in_the_tables_order():
    records = make_records(("attention", "flash", "hyena"))
    found = [(x.challenger.phase, x.challenger.operator, x.incumbent.operator) for x in find_all(records)]
    pairs = [("hyena", "flash"), ("hyena", "attention"), ("flash", "attention")]
    phases = (Phase.BACKWARD, Phase.FORWARD, Phase.TRAINING)
    assert sorted(found) == sorted((phase, *pair) for phase in phases for pair in pairs)
    assert [pair[1:] for pair in found if pair[0] is Phase.FORWARD] == pairs


def test_records_of_two_machines_are_never_mixed():
    here, there = (make_records(phases=(Phase.FORWARD,)), make_records(phases=(Phase.FORWARD,), law=lambda *_: 1e-3))
    moved = [
        type(r)(
            "ffffffffffff",
            r.point,
            r.outcome,
            None,
            tuple(v.model_copy(update={"fingerprint_id": "f" * 12}) for v in r.visits),
        )
        for r in there
    ]
    states = [x.state for x in find_all([*here, *moved])]
    assert states == [CrossoverState.RESOLVED, CrossoverState.EQUAL]


def test_sides_of_two_environments_are_paired_across():
    ours = side("hyena", linear)
    theirs = [type(r)("ffffffffffff", r.point, r.outcome, None, r.visits) for r in side("flash", quadratic)]
    (found,) = find_all([*ours, *theirs])
    assert found.flips[0].length == pytest.approx(3000, rel=0.005)


def test_two_implementations_of_one_operator_keep_their_names():
    slow = side("hyena", quadratic, implementation="other")
    found = find(side("hyena", linear), slow)
    assert sentence(found).startswith("forward: hyena:fft overtakes hyena:other between")


def test_settings_are_told_apart_in_statements():
    records = side("hyena", linear) + side("flash", quadratic)
    records += side("hyena", linear, width=64, heads=1) + side("flash", quadratic, width=64, heads=1)
    told = statements(records)
    assert [line.rpartition(" (")[2] for line in told] == ["width 64, heads 1)", "width 768, heads 12)"]


def test_records_of_one_side_alone_are_refused():
    with pytest.raises(ValueError, match="two sides"):
        find(side("hyena", linear), [])


def test_a_shared_dip_of_all_rounds_does_not_move_the_crossing():
    """Rounds drift by 30 %; pairing removes it, so the crossing stays where it is."""
    factors = (1.0, 1.3, 0.8, 1.1, 0.9)
    records = []
    for name, law in (("hyena", linear), ("flash", quadratic)):
        for length in LENGTHS:
            point = make_point(name, length)
            visits = [make_visit(point, [law(length) * f] * 3, round=n) for n, f in enumerate(factors)]
            records.append(record_of(point, visits))
    (found,) = find_all(records)
    assert found.flips[0].length == pytest.approx(3000, rel=0.002)


def test_a_record_that_later_failed_is_not_compared():
    ours = side("hyena", linear)
    broken = make_record(make_point("flash", 1024))
    broken = type(broken)(broken.fingerprint_id, broken.point, Outcome.INCORRECT, "off by 0.2", broken.visits)
    found = find(ours, [broken, *side("flash", quadratic)[1:]])
    assert found.range == (2048, 16384)


@pytest.mark.parametrize("rounds", [1, 3])
def test_times_without_any_noise_are_handled(rounds):
    found = find(side("hyena", linear, rounds=rounds, spread=0.0), side("flash", quadratic, rounds=rounds, spread=0.0))
    assert found.state is CrossoverState.RESOLVED
    assert found.flips[0].length == pytest.approx(3000, rel=0.001)


@pytest.mark.parametrize("seed", range(60))
def test_any_records_give_one_finite_statement(seed):
    """Random grids, rounds, noise and gaps: an interval holds its estimate, and both lie where there are lengths."""
    random = Random(seed)
    lengths = sorted({64 * round(2 ** random.uniform(0, 11)) for _ in range(random.randint(1, 13))})
    noise, level = random.choice([0.0, 1e-9, 0.01, 0.3]), random.choice([0.0, 0.7])
    sides = {"hyena": [], "flash": []}
    for length in lengths:
        for name, records in sides.items():
            true_s = 1e-6 * length * ((length / 3000) ** level if name == "flash" else 1.0)
            point = make_point(name, length)
            visits = [
                make_visit(point, [true_s * math.exp(random.gauss(0, noise))], round=n)
                for n in range(random.randint(1, 6))
            ]
            if random.random() < 0.9:
                records.append(record_of(point, visits))
    if all(sides.values()):
        found = find(sides["hyena"], sides["flash"])
        assert "nan" not in sentence(found)
        for flip in found.flips:
            assert found.range[0] * 0.999 <= flip.length <= found.range[1] * 1.001
            assert flip.low is None or flip.low <= flip.length <= flip.high
    else:
        (told,) = statements([*sides["hyena"], *sides["flash"]])
        assert told.startswith(("only", "nothing"))


def test_a_lead_from_a_single_round_is_said_to_have_no_interval():
    found = find(side("hyena", linear, rounds=1), side("flash", lambda length: 3 * linear(length), rounds=1))
    assert sentence(found).endswith("(3x there; 1 round only, no interval)")


def test_an_operator_of_another_package_challenges_by_its_own_table_line(monkeypatch):
    added = replace(OPERATORS["hyena"], exponent=1.0)
    monkeypatch.setattr("hyenaprof.analysis.crossover.operator_table", lambda: {"plugin": added, **OPERATORS})
    plugin, flash = make_point("plugin", 1024).curve, make_point("flash", 1024).curve
    assert challenger_first(flash, plugin) == (plugin, flash)
