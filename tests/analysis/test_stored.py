"""A session against stored ones: calibration, prediction, few sessions."""

import math
from dataclasses import replace

import numpy as np
import pytest
from builders import STARTED_AT, make_failure, make_fingerprint, make_point, make_record, make_run

from hyenaprof.analysis.looks import Ruling
from hyenaprof.analysis.stored import detectable_slowdowns, judge_stored
from hyenaprof.model import Phase
from hyenaprof.records.baseline import add_session, new_baseline
from hyenaprof.records.sessions import CALIBRATION, point_name, points_of, session_of

POINTS = tuple(make_point(operator, length) for operator in ("hyena", "flash") for length in (1024, 2048, 4096))
DAY_S = 86400.0


def run_at(seed, *, factors=(), scatter=0.01, machine=(1.0, 1.0), calibrations=True, rounds=6):
    """A session's run: compute and memory took `machine` times as long, and so did all that is bound by them."""
    random = np.random.default_rng([5, seed])
    gemm, copy = machine
    factors = (*factors, *(1.0 for _ in range(len(POINTS) - len(factors))))
    records = []
    for point, factor in zip(POINTS, factors, strict=True):
        state = gemm ** (1 / 3) * copy ** (2 / 3)  # a third of each point's time is arithmetic: see the costs below
        time_s = 1e-2 * factor * state * math.exp(scatter * random.standard_normal())
        records.append(make_record(point, time_s, rounds=rounds, noise=0.002))
    if calibrations:
        records += [
            make_record(make_point(operator, 1, implementation="torch"), time_s, rounds=rounds, noise=0.002)
            for operator, time_s in zip(CALIBRATION.values(), (0.01 * gemm, 0.02 * copy), strict=True)
        ]
    return make_run(records)


def stored(sessions, **settings):
    held = None
    for number in range(sessions):
        run = run_at(number, **settings)
        session = session_of(run).model_copy(update={"started_at": STARTED_AT + number * DAY_S})
        held = add_session(held, session, points_of(run)) if held else new_baseline(session, points_of(run))
    return held


def judged(baseline, run, **given):
    return judge_stored(baseline, session_of(run), points_of(run), **given)


def rulings(gate):
    return [
        verdict.ruling
        for verdict in sorted(gate.verdicts, key=lambda v: POINTS.index(v.point))
        if verdict.metric == "latency"
    ]


def test_six_sessions_find_ten_percent_and_flag_nothing_else():
    gate = judged(stored(6), run_at(99, factors=(1.1,)))
    assert rulings(gate) == [Ruling.REGRESSED, *[Ruling.OK] * 5]
    assert gate.is_red
    worst = gate.verdicts[0]
    assert worst.ratio == pytest.approx(1.1, abs=0.04)
    assert 1 < worst.low < worst.ratio < worst.high


def test_a_slower_machine_is_taken_out_by_its_calibration_and_counts_without_it():
    slower = {"machine": (1.3, 1.1)}
    assert set(rulings(judged(stored(6), run_at(99, **slower)))) == {Ruling.OK}
    bare = judged(stored(6, calibrations=False), run_at(99, calibrations=False, **slower))
    assert set(rulings(bare)) == {Ruling.REGRESSED}
    assert any("calibration" in warning for warning in bare.warnings)


def test_against_one_session_nothing_under_ten_percent_is_called_and_nothing_is_ok():
    gate = judged(stored(1), run_at(99, factors=(1.08, 1.3), scatter=0.0))
    assert rulings(gate) == [Ruling.INCONCLUSIVE, Ruling.REGRESSED, *[Ruling.INCONCLUSIVE] * 4]
    assert gate.verdicts[0].tolerance == pytest.approx(0.1)
    assert "one stored session" in gate.verdicts[0].reason
    assert any("one stored session" in warning for warning in gate.warnings)


def test_sessions_that_scatter_widely_leave_a_point_inconclusive():
    gate = judged(stored(3, scatter=0.08), run_at(99, factors=(1.1,), scatter=0.0))
    assert Ruling.REGRESSED not in rulings(gate)
    assert Ruling.INCONCLUSIVE in rulings(gate)
    assert min(verdict.detectable for verdict in gate.verdicts if verdict.metric == "latency") > 0.3


def test_memory_failures_missing_and_new_points_are_judged_against_the_last_session():
    baseline, run = stored(3), run_at(99)
    first, second, third, *rest = run.records
    grown = replace(first, memory=first.memory.model_copy(update={"peak_bytes": 2 * first.memory.peak_bytes}))
    new = make_record(make_point("hyena", 1024, phase=Phase.TRAINING), rounds=6)
    gate = judged(baseline, make_run([grown, make_failure(second.point), *rest, new]))
    told = {(v.point, v.metric): v.ruling for v in gate.verdicts}
    assert told[(first.point, "peak_memory")] is Ruling.REGRESSED
    assert told[(second.point, "outcome")] is Ruling.REGRESSED
    assert told[(third.point, "outcome")] is Ruling.MISSING
    assert told[(new.point, "outcome")] is Ruling.NOT_JUDGED


def test_other_software_is_named_as_a_candidate_for_the_cause():
    session = session_of(run_at(99)).model_copy(update={"fingerprint": make_fingerprint(torch="2.14.0")})
    gate = judge_stored(stored(6), session, points_of(run_at(99)))
    assert "candidate cause: software.torch: 2.13.0 in the last stored session, 2.14.0 now" in gate.warnings


def test_the_slowdown_that_a_baseline_could_detect_follows_from_how_its_sessions_scatter():
    calm, wild = (detectable_slowdowns(stored(6, scatter=scatter)) for scatter in (0.005, 0.05))
    assert set(calm) == {point_name(point) for point in POINTS}
    assert 0.05 <= max(calm.values()) < 0.1
    assert min(wild.values()) > 0.1
