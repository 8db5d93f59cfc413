"""Everything that records say, in one value: order, metrics, names, and what is predicted beyond them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import LENGTHS, PHASES, crossing_law, make_failure, make_point, make_records

from hyenaprof.analysis.overview import outlook, overview, predictions, scalings_of
from hyenaprof.model import CrossoverState, Outcome, Phase

FORWARD = (Phase.FORWARD,)


def slower_challenger(gap):
    """Hyena behind flash by a factor at the longest length measured, flash growing twice as fast."""

    def law(operator, _, length):
        ours = 1e-3 * length / LENGTHS[-1]
        return ours if operator == "hyena" else ours * length / LENGTHS[-1] / gap

    return law


def with_energy(records, joules):
    return [
        replace(record, visits=tuple(visit.model_copy(update={"energy_j": joules(record)}) for visit in record.visits))
        for record in records
    ]


def test_a_pairs_phases_stand_together_in_the_order_of_an_iteration():
    held = overview(make_records(("hyena", "flash", "attention")))
    told = [
        (x.incumbent.operator, x.challenger.phase) for x in (e.crossover for e in held.told) if x.metric == "latency"
    ]
    assert told[:6] == [(name, phase) for name in ("flash", "attention") for phase in PHASES]
    assert held.nothing is None
    assert held.compared


def test_memory_and_energy_are_told_only_where_they_were_measured():
    records = make_records(phases=FORWARD)
    assert [entry.crossover.metric for entry in overview(records).told] == ["latency", "peak_memory"]
    bare = [replace(record, memory=None) for record in records]
    assert [entry.crossover.metric for entry in overview(bare).told] == ["latency"]
    powered = with_energy(
        bare, lambda record: 30 * crossing_law(record.point.operator, Phase.FORWARD, record.point.shape.length)
    )
    found = overview(powered).told[1].crossover
    assert (found.metric, found.state) == ("energy", CrossoverState.RESOLVED)
    assert found.flips[0].length == pytest.approx(2896, rel=0.02)


def test_a_phase_that_was_not_stated_is_left_out_and_the_metric_is_not():
    first, second = overview(make_records(phases=FORWARD), phases=False).told
    assert first.sentence.startswith("hyena overtakes flash between 2048 and 4096")
    assert second.sentence.startswith("peak memory: not in range: flash needs less memory")


def test_no_pair_is_one_reason():
    held = overview(make_records(("hyena",)))
    assert (held.told, held.nothing, held.compared) == (
        (),
        "only hyena is there: a crossover needs two operators",
        False,
    )


def test_a_pair_without_a_common_length_is_told_and_counts_as_not_compared():
    records = [*make_records(("hyena",), (1024,), FORWARD), *make_records(("flash",), (2048,), FORWARD)]
    held = overview(records)
    assert [entry.crossover.state for entry in held.told] == [CrossoverState.NO_DATA]
    assert not held.compared


def test_an_operator_outside_the_table_challenges_by_how_it_grows():
    def law(operator, phase, length):
        return crossing_law("hyena" if operator == "zz" else "flash", phase, length)

    (entry,) = [
        e for e in overview(make_records(("aa", "zz"), phases=FORWARD, law=law)).told if e.crossover.metric == "latency"
    ]
    assert entry.crossover.challenger.operator == "zz"


@pytest.mark.parametrize(("gap", "by"), [(1.5, 16384), (3, 32768), (6, None)])
def test_the_outlook_names_the_first_length_at_which_the_predictions_part(gap, by):
    held = overview(make_records(phases=FORWARD, law=slower_challenger(gap), noise=0.001, within_noise=0.001))
    found = outlook(held.told[0].crossover, held.scalings)
    assert (found.by, found.reach) == (by, 4 * LENGTHS[-1])


def test_there_is_no_outlook_where_the_lead_changes_or_fits_do_not_reach():
    crossing = overview(make_records(phases=FORWARD))
    assert outlook(crossing.told[0].crossover, crossing.scalings) is None
    short = overview(make_records(lengths=(4096, 8192), phases=FORWARD, law=slower_challenger(3)))
    assert outlook(short.told[0].crossover, short.scalings) is None
    limited = [
        *make_records(phases=FORWARD, law=slower_challenger(3)),
        make_failure(make_point("flash", 2 * LENGTHS[-1])),
    ]
    held = overview(limited)
    assert outlook(held.told[0].crossover, held.scalings) is None


def test_predictions_stop_at_a_memory_limit_and_past_twice_the_longest_are_intervals():
    (scaling,) = scalings_of(make_records(("flash",), phases=FORWARD, noise=0.001))
    point, interval = predictions(scaling)
    assert (point.length, point.latency_s) == (
        16384,
        pytest.approx(crossing_law("flash", Phase.FORWARD, 16384), rel=0.02),
    )
    assert (interval.length, interval.latency_s) == (32768, None)
    limited = [*make_records(("flash",), phases=FORWARD), make_failure(make_point("flash", 32768), Outcome.OOM)]
    (scaling,) = scalings_of(limited)
    assert [prediction.length for prediction in predictions(scaling)] == [16384]
