from __future__ import annotations

import json

import pytest

from hyenaprof.devices.base import resolve
from hyenaprof.errors import Unsupported
from hyenaprof.model import CeilingsLine, DType, Outcome, Phase, Point, Scope, Shape
from hyenaprof.pipe import Describe, Hello, Measure, MeasureMemory, Verify, VisitRules
from hyenaprof.worker import session as module
from hyenaprof.worker.measure import silent
from hyenaprof.worker.session import Session

POINT = Point(
    operator="tests.worker.toys:Scale",
    implementation="plain",
    scope=Scope.CORE,
    phase=Phase.FORWARD,
    shape=Shape(batch=1, length=4097, width=64, heads=1),
    dtype=DType.FLOAT32,
    device="fake",
)
MEASURE = Measure(points=(POINT,), round=0, order=0, rules=VisitRules(max_samples=30))
LOW = CeilingsLine(device="fake", gemm_flops_per_s={"float32": 1.0}, fingerprint_id="f")


ELEMENTS = 4097 * 64
RATE = ELEMENTS / (ELEMENTS / 2e12 + 8 * ELEMENTS / 1e12 + 20e-6)
"""FLOP/s of the point on the fake device without noise."""


@pytest.fixture
def session(monkeypatch):
    monkeypatch.setenv("HYENAPROF_FAKE", json.dumps({"noise": 0.0, "process_noise": 0.0, "round_noise": 0.0}))
    return Session(device=resolve("fake"), fingerprint_id="f")


def measured_again(monkeypatch, line):
    monkeypatch.setattr(module, "measure_ceilings", lambda *_, **__: line)


def visit_of(session, request=MEASURE):
    (visit,) = session.answer(request, silent).visits
    return visit


def test_without_ceilings_nothing_is_judged(session):
    assert visit_of(session).outcome is Outcome.OK


def test_what_exceeds_the_ceilings_twice_is_implausible(session, monkeypatch):
    measured_again(monkeypatch, LOW)
    session.ceilings = LOW
    visit = visit_of(session)
    assert visit.outcome is Outcome.IMPLAUSIBLE
    assert "measured for float32 matrix multiplication" in visit.reason


def test_what_exceeds_them_once_is_believed_and_the_better_ceiling_kept(session, monkeypatch):
    measured_again(monkeypatch, LOW.model_copy(update={"gemm_flops_per_s": {"float32": 1e15}}))
    session.ceilings = LOW
    assert visit_of(session).outcome is Outcome.OK
    assert session.ceilings.gemm_flops_per_s == {"float32": 1e15}


def disturbed(factor):
    """Ceilings that the fake's visit is so many times beyond, measured among other processes."""
    return LOW.model_copy(update={"gemm_flops_per_s": {"float32": RATE / factor}, "warnings": ("contended",)})


def test_up_to_twice_disturbed_ceilings_is_a_warning_and_no_verdict(session, monkeypatch):
    measured_again(monkeypatch, disturbed(2.0))
    session.ceilings = disturbed(2.0)
    visit = visit_of(session)
    assert visit.outcome is Outcome.OK
    assert visit.warnings[-1].startswith("beyond the ceilings, which other processes disturbed: ")
    assert "2x" in visit.warnings[-1]


def test_beyond_what_disturbance_explains_is_implausible(session, monkeypatch):
    measured_again(monkeypatch, disturbed(2.5))
    session.ceilings = disturbed(2.5)
    assert visit_of(session).outcome is Outcome.IMPLAUSIBLE


def test_disturbed_ceilings_are_measured_again_until_they_are_not(session, monkeypatch):
    lines = [disturbed(2.0), disturbed(1.5), LOW.model_copy(update={"gemm_flops_per_s": {"float32": RATE / 1.3}})]
    monkeypatch.setattr(module, "measure_ceilings", lambda *_, **__: lines.pop(0))
    session.ceilings = disturbed(2.0)
    visit = visit_of(session)
    assert visit.outcome is Outcome.IMPLAUSIBLE
    assert "1.3x" in visit.reason
    assert lines == []


def test_ceilings_that_are_handed_over_are_joined_to_those_known(session, monkeypatch):
    measured_again(monkeypatch, LOW)
    session.ceilings = LOW.model_copy(update={"gemm_flops_per_s": {"float32": 1e15}})
    assert visit_of(session, MEASURE.model_copy(update={"ceilings": LOW})).outcome is Outcome.OK


def test_a_point_checked_on_the_fake_device_keeps_its_own_shape(session):
    check = session.answer(Verify(point=POINT), silent).check
    assert check.point == POINT
    assert check.passed


def test_memory_of_the_fake_is_that_of_the_asked_length(session):
    (line,) = session.answer(MeasureMemory(points=(POINT,)), silent).lines
    assert line.point == POINT
    assert line.peak_bytes == 4097 * 64 * 4 + 64 * 4


def test_a_device_with_an_index_is_known_by_its_kind(monkeypatch):
    monkeypatch.delenv("HYENAPROF_FAKE", raising=False)
    fresh = Session()
    answer = fresh.answer(Hello(device="fake:0"), silent)
    assert (answer.device_kind, answer.fingerprint.machine["device"]) == ("fake", "fake")
    assert answer.available_bytes == 16 * 1024**3


@pytest.mark.parametrize("verb", [Describe, MeasureMemory, Measure])
def test_a_scope_that_the_operator_has_not_is_unsupported_in_words(session, verb):
    point = MEASURE.points[0].model_copy(update={"scope": Scope.BLOCK})
    request = verb(points=(point,), **({"round": 0, "order": 0} if verb is Measure else {}))
    with pytest.raises(Unsupported, match="has no scope block, only core, layer"):
        session.answer(request, silent)


def test_a_scope_that_the_operator_has_not_is_not_verified_either(session):
    point = MEASURE.points[0].model_copy(update={"scope": Scope.BLOCK})
    with pytest.raises(Unsupported, match="has no scope block"):
        session.answer(Verify(point=point), silent)


def test_describing_points_says_what_will_make_them_slow(session, monkeypatch):
    monkeypatch.setattr(session.device, "cautions", lambda point: (f"slow type: {point.phase}",), raising=False)
    point = MEASURE.points[0]
    answer = session.answer(Describe(points=(point, point)), silent)
    assert answer.cautions == (f"slow type: {point.phase}",)
    assert len(answer.costs) == 2
