from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hyenaprof.model import CeilingsLine, DType, Outcome, Phase, Point, Scope, Shape
from hyenaprof.pipe import (
    MESSAGES,
    PIPE_VERSION,
    Availability,
    Describe,
    Hello,
    Measure,
    MeasureCeilings,
    MeasureMemory,
    Reply,
    Request,
    VisitRules,
)

ROOT = Path(__file__).parents[2]
QUICK = VisitRules(window_s=0.02, max_samples=20)


class Worker:
    """A real worker process, spoken to line by line."""

    def __init__(self, device="cpu"):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hyenaprof.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.requests = 0
        self.lines = []
        self.hello = self.ask(Hello(device=device, threads=1))

    def ask(self, body):
        self.requests += 1
        self.process.stdin.write(Request(id=self.requests, body=body).model_dump_json() + "\n")
        self.process.stdin.flush()
        while line := self.process.stdout.readline():
            self.lines.append(line)
            message = MESSAGES.validate_json(line)
            if isinstance(message, Reply):
                assert message.id == self.requests
                return message.refusal or message.answer
        return None

    def close(self):
        _, log = self.process.communicate(timeout=30)
        return log


@pytest.fixture(scope="module")
def worker():
    started = Worker()
    yield started
    started.close()
    assert started.process.returncode == 0


def point(operator, phase=Phase.FORWARD, length=100, **changes):
    fields = {
        "operator": f"tests.worker.toys:{operator}",
        "implementation": "plain",
        "scope": Scope.LAYER,
        "phase": phase,
        "shape": Shape(batch=1, length=length, width=64, heads=1),
        "dtype": DType.FLOAT32,
        "device": "cpu",
    }
    return Point(**(fields | changes))


def measure(*points):
    return Measure(points=points, round=3, order=1, rules=QUICK)


def test_hello_says_who_the_worker_is(worker):
    assert worker.hello.pipe_version == PIPE_VERSION
    assert worker.hello.device_kind == "cpu"
    assert worker.hello.threads == 1
    assert worker.hello.available_bytes > 0
    assert worker.hello.fingerprint.protocol["threads"] == 1
    assert worker.hello.fingerprint.protocol["clock"] == "process_time"


def test_forward_is_one_visit_with_its_samples(worker):
    (visit,) = worker.ask(measure(point("Scale"))).visits
    assert visit.outcome is Outcome.OK
    assert (visit.round, visit.order) == (3, 1)
    assert len(visit.latency_s) == 20
    assert len(visit.offset_s) == 20
    assert list(visit.offset_s) == sorted(visit.offset_s)
    assert visit.fingerprint_id == worker.hello.fingerprint.id


def test_backward_and_training_are_two_readings_of_the_same_iterations(worker):
    asked = (point("Scale", Phase.BACKWARD), point("Scale", Phase.TRAINING))
    backward, training = worker.ask(measure(*asked)).visits
    assert (backward.point, training.point) == asked
    assert backward.offset_s == training.offset_s
    assert all(b < t for b, t in zip(backward.latency_s, training.latency_s, strict=True))


def test_points_of_two_iterations_in_one_request_are_refused(worker):
    refusal = worker.ask(measure(point("Scale"), point("Scale", Phase.TRAINING)))
    assert "share one iteration" in refusal.reason


def test_describe_gives_the_operators_own_cost_of_every_point(worker):
    asked = (point("Scale", length=10), point("Scale", Phase.TRAINING, length=20))
    assert [cost.flops for cost in worker.ask(Describe(points=asked)).costs] == [640, 3 * 1280]


def test_peak_memory_is_exact_to_the_byte(worker):
    shape = Shape(batch=2, length=1000, width=64, heads=1)
    activation = 2 * 1000 * 64 * 4
    (forward,) = worker.ask(MeasureMemory(points=(point("Scale", shape=shape),))).lines
    assert forward.peak_bytes == activation
    assert "aten::mul" in forward.dispatched


def test_what_an_operator_prints_goes_to_the_log_and_never_into_the_pipe():
    worker = Worker()
    (visit,) = worker.ask(measure(point("Printing"))).visits
    log = worker.close()
    assert visit.outcome is Outcome.OK
    assert all(json.loads(line)["kind"] in {"progress", "reply"} for line in worker.lines)
    assert {"python says hello", "c says hello", "a descriptor says hello"} <= set(log.splitlines())


def test_an_allocation_past_the_machine_is_oom(worker):
    assert worker.ask(measure(point("Greedy"))).outcome is Outcome.OOM


def test_a_missing_library_is_unsupported_in_its_own_words(worker):
    refusal = worker.ask(measure(point("Scale", implementation="absent")))
    assert (refusal.outcome, refusal.reason) == (Outcome.UNSUPPORTED, "the library absent is not installed")


def test_a_crash_names_type_words_and_line_but_no_path(worker):
    refusal = worker.ask(measure(point("Broken")))
    assert refusal.outcome is Outcome.CRASHED
    assert refusal.reason.startswith("ValueError: cannot open table.bin (line ")
    assert refusal.reason.endswith(" of toys.py)")


def test_a_failed_point_leaves_the_next_one_unharmed(worker):
    worker.ask(measure(point("Broken")))
    (visit,) = worker.ask(measure(point("Scale"))).visits
    assert visit.outcome is Outcome.OK


def test_abort_ends_the_worker_without_an_answer():
    worker = Worker()
    assert worker.ask(measure(point("Aborting"))) is None
    worker.process.communicate(timeout=30)
    assert worker.process.returncode == -6


def test_availability_really_builds_and_gives_the_install_line(worker):
    there, absent = worker.ask(Availability(operators=("tests.worker.toys:Scale",))).statuses
    assert (there.available, there.reason, there.install) == (True, None, None)
    assert (absent.available, absent.reason) == (False, "the library absent is not installed")
    assert absent.install == "pip install absent"
    asked = Availability(operators=("tests.worker.toys:Scale",), implementations=(absent.implementation,))
    assert worker.ask(asked).statuses == (absent,)


def test_an_absent_device_is_refused_with_a_hint():
    worker = Worker(device="cpu:3")
    assert worker.hello.outcome is Outcome.UNSUPPORTED
    assert worker.hello.reason == "no device cpu:3 (there is one device of kind cpu)"
    worker.close()


def test_a_request_before_hello_is_an_error_and_not_a_crash():
    worker = Worker(device="quantum")
    assert "no device kind 'quantum'" in worker.hello.reason
    assert "must be hello" in worker.ask(measure(point("Scale"))).reason
    worker.close()


def test_the_fake_device_serves_a_million_tokens_in_an_instant_and_twice_alike():
    worker = Worker(device="fake")
    long = point("Scale", length=2**20, device="fake", shape=Shape(batch=2, length=2**20, width=768, heads=12))
    (first,) = worker.ask(Measure(points=(long,), round=0, order=0)).visits
    (again,) = worker.ask(Measure(points=(long,), round=0, order=0)).visits
    (other,) = worker.ask(Measure(points=(long,), round=1, order=0)).visits
    worker.close()
    elements = 2 * 2**20 * 768
    typical_s = elements / 2e12 + 8 * elements / 1e12 + 20e-6
    assert first.latency_s == pytest.approx([typical_s] * len(first.latency_s), rel=0.1)
    assert first.latency_s == again.latency_s
    assert first.latency_s != other.latency_s


def test_a_time_beyond_what_the_machine_can_do_is_implausible_and_keeps_its_samples(monkeypatch):
    monkeypatch.setenv("HYENAPROF_FAKE", json.dumps({"rates": {"tests.worker.toys:Scale": {"bytes_per_s": 1e14}}}))
    worker = Worker(device="fake")
    line = worker.ask(MeasureCeilings()).line
    shape = Shape(batch=1, length=2**16, width=768, heads=12)
    (visit,) = worker.ask(measure(point("Scale", shape=shape, device="fake"))).visits
    worker.close()
    assert visit.outcome is Outcome.IMPLAUSIBLE
    assert "measured for copying as much" in visit.reason
    assert visit.latency_s
    assert line.device == "fake"


def test_ceilings_measured_elsewhere_are_handed_over(worker):
    low = CeilingsLine(device="cpu", gemm_flops_per_s={"float32": 1e3}, fingerprint_id="f")
    request = measure(point("Scale")).model_copy(update={"ceilings": low})
    (visit,) = worker.ask(request).visits
    assert visit.outcome is Outcome.OK, "a ceiling that was too low is measured again before anything is said"
