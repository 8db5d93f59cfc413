from __future__ import annotations

import pytest
from builders import make_fingerprint
from pydantic import ValidationError

from hyenaprof.model import DType, Outcome, Phase, Point, Scope, Shape, Visit
from hyenaprof.pipe import (
    MESSAGES,
    PIPE_VERSION,
    Availability,
    Describe,
    Hello,
    HelloAnswer,
    Measure,
    MeasureAnswer,
    MeasureCeilings,
    MeasureMemory,
    Progress,
    Refusal,
    Reply,
    Request,
    Verify,
    VisitRules,
)

POINT = Point(
    operator="hyena",
    implementation="fft",
    scope=Scope.LAYER,
    phase=Phase.FORWARD,
    shape=Shape(batch=1, length=1024, width=64, heads=1),
    dtype=DType.FLOAT32,
    device="fake",
    options={"order": 3},
)
VISIT = Visit(
    point=POINT,
    round=1,
    order=0,
    outcome=Outcome.OK,
    latency_s=(0.1, 0.1 + 2**-55, 1e-9),
    started_at=1.5,
    fingerprint_id="f" * 12,
)
ANSWERS = [
    HelloAnswer(
        pipe_version=PIPE_VERSION,
        hyenaprof="0.1.0",
        fingerprint=make_fingerprint(),
        device_kind="fake",
        available_bytes=2**33,
        threads=2,
    ),
    MeasureAnswer(visits=(VISIT,)),
]


@pytest.mark.parametrize(
    "body",
    [
        Hello(device="cuda:1", threads=2, operators=("pkg.mod:Class",)),
        Describe(points=(POINT,)),
        Verify(point=POINT, at_length=True),
        MeasureMemory(points=(POINT, POINT.reading(Phase.TRAINING))),
        Measure(points=(POINT,), round=3, order=1, rules=VisitRules(precision=0.05, cache="hot")),
        MeasureCeilings(quick=False),
        Availability(operators=("hyena",)),
    ],
    ids=lambda body: body.verb,
)
def test_a_request_comes_out_of_the_pipe_as_it_went_in(body):
    line = Request(id=7, body=body).model_dump_json()
    assert "\n" not in line
    assert Request.model_validate_json(line) == Request(id=7, body=body)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_an_answer_comes_back_as_the_type_it_was(answer):
    reply = MESSAGES.validate_json(Reply(id=1, answer=answer).model_dump_json())
    assert isinstance(reply, Reply)
    assert type(reply.answer) is type(answer)
    assert reply.answer == answer


def test_samples_cross_the_pipe_to_the_last_bit():
    reply = MESSAGES.validate_json(Reply(id=1, answer=MeasureAnswer(visits=(VISIT,))).model_dump_json())
    assert reply.answer.visits[0].latency_s == VISIT.latency_s


def test_progress_and_refusal_are_told_apart_from_answers():
    progress = Progress(id=3, text="warming up", samples=4, last_s=0.25)
    assert MESSAGES.validate_json(progress.model_dump_json()) == progress
    refusal = Reply(id=3, refusal=Refusal(outcome=Outcome.OOM, reason="needs 12 GiB"))
    assert MESSAGES.validate_json(refusal.model_dump_json()) == refusal


@pytest.mark.parametrize("line", ['{"id": 1, "body": {"verb": "dance"}}', '{"id": 1}', "not JSON", ""])
def test_a_line_that_is_no_request_is_refused(line):
    with pytest.raises(ValidationError):
        Request.model_validate_json(line)
