from __future__ import annotations

import random

import pytest
from builders import make_cost, make_fingerprint, make_point, make_visit

from hyenaprof.model import CheckEntry, CheckLine, CostLine, MemoryLine, Outcome, Phase, SkipLine
from hyenaprof.records.tables import assemble

POINT = make_point()
IDENTITY = make_fingerprint().id


def skip(point=POINT, outcome=Outcome.OVER_BUDGET, reason="late", **fields):
    return SkipLine(point=point, outcome=outcome, reason=reason, fingerprint_id=IDENTITY, **fields)


def failed(outcome=Outcome.CRASHED, round_=1, reason="SIGSEGV"):
    return make_visit(POINT, round=round_, outcome=outcome, reason=reason)


def only(*lines):
    (record,) = assemble(lines)
    return record


def test_nothing_gives_no_records():
    assert assemble(()) == ()


def test_visits_stand_by_round_however_they_were_written():
    visits = [make_visit(POINT, 1e-3 * number, round=number) for number in (2, 0, 1)]
    record = only(*visits)
    assert [visit.round for visit in record.visits] == [0, 1, 2]
    assert (record.outcome, record.reason) == (Outcome.OK, None)


def test_a_visit_that_stands_twice_counts_once_and_it_is_the_first():
    first, again = make_visit(POINT, 1e-3, round=4), make_visit(POINT, 9e-3, round=4)
    assert only(first, again).visits == (first,)


def test_a_failed_visit_makes_the_point_that_failure_whatever_else_was_measured():
    good = make_visit(POINT, round=0)
    for lines in ((good, failed()), (failed(), good)):
        record = only(*lines)
        assert (record.outcome, record.reason) == (Outcome.CRASHED, "SIGSEGV")
        assert record.visits == (good,)
        assert record.failures == (failed(),)


def test_the_last_failure_gives_the_reason():
    record = only(failed(), failed(Outcome.TIMEOUT, 2, "600 s"))
    assert (record.outcome, record.reason) == (Outcome.TIMEOUT, "600 s")
    assert len(record.failures) == 2


def test_a_skip_counts_where_there_is_no_visit():
    record = only(skip(predicted_s=12.5))
    assert (record.outcome, record.reason, record.predicted_s) == (Outcome.OVER_BUDGET, "late", 12.5)
    assert record.visits == ()


@pytest.mark.parametrize("visit_first", [True, False])
def test_a_skip_is_void_once_the_point_is_visited(visit_first):
    visit = make_visit(POINT)
    record = only(*((visit, skip(predicted_s=3.0)) if visit_first else (skip(predicted_s=3.0), visit)))
    assert (record.outcome, record.reason, record.predicted_s) == (Outcome.OK, None, None)


def test_of_several_skips_the_last_counts():
    record = only(skip(), skip(outcome=Outcome.OOM, reason="needs 48 GiB", inferred=True))
    assert (record.outcome, record.reason, record.inferred) == (Outcome.OOM, "needs 48 GiB", True)


def test_side_lines_join_their_point_and_make_none_of_their_own():
    other = make_point(length=2048)
    memory = MemoryLine(point=POINT, peak_bytes=7, method="events", fingerprint_id=IDENTITY)
    check = CheckLine(
        point=POINT,
        method="sampled positions",
        entries=(CheckEntry(quantity="output", error=0.0, tolerance=1e-5),),
        fingerprint_id=IDENTITY,
    )
    lines = [memory, check, CostLine(point=POINT, cost=make_cost(POINT)), make_visit(POINT)]
    lines += [line.model_copy(update={"point": other}) for line in lines[:2]]
    record = only(*lines)
    assert (record.memory, record.check, record.cost) == (memory, check, make_cost(POINT))


def test_a_point_on_two_fingerprints_is_two_records():
    records = assemble([make_visit(POINT, fingerprint_id=name) for name in ("b" * 12, "a" * 12)])
    assert [record.fingerprint_id for record in records] == ["a" * 12, "b" * 12]
    assert all(record.point == POINT and len(record.visits) == 1 for record in records)


def test_memory_of_another_fingerprint_is_not_taken_over():
    elsewhere = MemoryLine(point=POINT, peak_bytes=7, method="events", fingerprint_id="a" * 12)
    assert only(make_visit(POINT), elsewhere).memory is None


def test_records_stand_by_phase_then_length_then_operator():
    points = [
        make_point(operator, length, phase=phase)
        for phase in (Phase.FORWARD, Phase.BACKWARD, Phase.TRAINING)
        for length in (512, 1024, 16384)
        for operator in ("flash", "hyena")
    ]
    mixed = random.Random(3).sample(points, len(points))
    assert [record.point for record in assemble(make_visit(point) for point in mixed)] == points
