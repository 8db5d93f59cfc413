"""One worker's life between hello and the closing of the pipe: the device it holds and the requests it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch

import hyenaprof
from hyenaprof.devices.base import Device, resolve
from hyenaprof.errors import WorkerError
from hyenaprof.model import CeilingsLine, Cost, Outcome, Point, Visit
from hyenaprof.operators.base import Operator, entry_for, load
from hyenaprof.pipe import (
    PIPE_VERSION,
    AnyAnswer,
    AnyRequest,
    Availability,
    AvailabilityAnswer,
    CeilingsAnswer,
    Describe,
    DescribeAnswer,
    Hello,
    HelloAnswer,
    Inspect,
    InspectAnswer,
    Measure,
    MeasureAnswer,
    MeasureCeilings,
    MeasureMemory,
    MemoryAnswer,
    Verify,
    VerifyAnswer,
)
from hyenaprof.worker.ceilings import best_of, implausible, measure_ceilings
from hyenaprof.worker.fingerprint import Protocol, take_fingerprint
from hyenaprof.worker.inspect import inspect
from hyenaprof.worker.iteration import check_scope
from hyenaprof.worker.measure import Report, visit
from hyenaprof.worker.memory import peak_memory
from hyenaprof.worker.probe import availability
from hyenaprof.worker.verify import verify, verify_at_length

MOST_MEASURED_AGAIN = 3
"""Times that a worker measures ceilings again that a visit exceeds, about 3 s each."""


@dataclass(slots=True)
class Session:
    """Answers requests on one device.

    Before the first hello there is no device, and every other request is an error.
    """

    device: Device | None = None
    fingerprint_id: str = ""
    ceilings: CeilingsLine | None = None
    """Measured here, or handed over with a request to measure."""
    _measured_again: int = 0

    def answer(self, body: AnyRequest, report: Report) -> AnyAnswer:  # noqa: PLR0911 -- one a verb
        """Gives the answer to one request; what it raises becomes a refusal."""
        match body:
            case Hello():
                return self._hello(body)
            case Describe():
                return _described(body, self._held())
            case Availability():
                return AvailabilityAnswer(statuses=availability(body.operators, body.implementations, self._held()))
            case Verify():
                return self._verify(body)
            case MeasureMemory():
                return self._memory(body)
            case Measure():
                return self._measure(body, report)
            case MeasureCeilings():
                self.ceilings = measure_ceilings(self._held(), quick=body.quick, fingerprint_id=self.fingerprint_id)
                return CeilingsAnswer(line=self.ceilings)
            case Inspect():
                return InspectAnswer(findings=inspect(self._held()))

    def _held(self) -> Device:
        if self.device is None:
            raise WorkerError("the first request must be hello")
        return self.device

    def _hello(self, body: Hello) -> HelloAnswer:
        if body.threads is not None:
            torch.set_num_threads(body.threads)
        for entry in body.operators:
            load(entry, {})
        self.device = resolve(body.device)
        self.device.settle(torch.get_num_threads())
        protocol = Protocol(
            threads=torch.get_num_threads(), cache=body.cache, cuda_graph=body.cuda_graph, inputs=body.inputs
        )
        fingerprint = take_fingerprint(self.device, protocol)
        self.fingerprint_id = fingerprint.id
        return HelloAnswer(
            pipe_version=PIPE_VERSION,
            hyenaprof=hyenaprof.__version__,
            fingerprint=fingerprint,
            device_kind=self.device.kind,
            available_bytes=self.device.available_bytes(),
            threads=torch.get_num_threads(),
            entries={name: entry_for(name) for name in body.operators},
            counts_energy=self.device.energy_j() is not None,
            warnings=self.device.warnings(),
        )

    def _verify(self, body: Verify) -> VerifyAnswer:
        device = self._held()
        point = body.point.model_copy(update={"shape": device.materialise(body.point.shape)})
        check = verify_at_length if body.at_length else verify
        line = check(_operator(point), point, device.torch_device, self.fingerprint_id)
        return VerifyAnswer(check=line if point == body.point else line.model_copy(update={"point": body.point}))

    def _memory(self, body: MeasureMemory) -> MemoryAnswer:
        points = _one_iteration(body.points)
        return peak_memory(points, _operator(points[0]), self._held(), fingerprint_id=self.fingerprint_id)

    def _measure(self, body: Measure, report: Report) -> MeasureAnswer:
        points = _one_iteration(body.points)
        visits = visit(
            points,
            _operator(points[0]),
            self._held(),
            body.rules,
            round_index=body.round,
            order=body.order,
            fingerprint_id=self.fingerprint_id,
            report=report,
        )
        known = [line for line in (self.ceilings, body.ceilings) if line is not None]
        handed = self.ceilings = reduce(best_of, known) if known else None
        judged = tuple(self._judged(measured) for measured in visits)
        return MeasureAnswer(visits=judged, ceilings=None if self.ceilings is handed else self.ceilings)

    def _judged(self, measured: Visit) -> Visit:
        """The visit, or the same as `implausible` where it exceeds the ceilings even when they are measured again.

        They are measured again up to three times a worker while other processes disturb that. Where they always do, only
        what is beyond twice a ceiling can be called implausible, and less than that carries a warning instead.
        """
        cost = _cost(measured.point)
        if self.ceilings is None or implausible(measured, cost, self.ceilings) is None:
            return measured
        while self._measured_again < MOST_MEASURED_AGAIN:
            self._measured_again += 1
            again = measure_ceilings(self._held(), quick=True, fingerprint_id=self.fingerprint_id)
            self.ceilings = best_of(self.ceilings, again)
            reason = implausible(measured, cost, self.ceilings)
            if reason is None:
                return measured
            if not again.warnings:
                break
        reason = implausible(measured, cost, self.ceilings)
        if implausible(measured, cost, self.ceilings, tolerated=self.ceilings.tolerated) is None:
            doubt = f"beyond the ceilings, which other processes disturbed: {reason}"
            return measured.model_copy(update={"warnings": (*measured.warnings, doubt)})
        return measured.model_copy(update={"outcome": Outcome.IMPLAUSIBLE, "reason": reason})


def _operator(point: Point) -> Operator:
    """The point's operator, which has its scope.

    Raises:
        Unsupported: It has not.
    """
    operator = load(point.operator, dict(point.options))
    check_scope(operator, point)
    return operator


def _one_iteration(points: Sequence[Point]) -> Sequence[Point]:
    """The points, which must differ in phase alone and share one iteration.

    Raises:
        WorkerError: They do not.
    """
    same = {(point.reading(points[0].phase), point.phase.has_gradients) for point in points}
    if len(same) != 1:
        raise WorkerError("points of one request must share one iteration: one forward, or backward and training")
    return points


def _cost(point: Point) -> Cost:
    return _operator(point).cost(point.implementation, point.shape, point.scope, phase=point.phase, dtype=point.dtype)


def _described(body: Describe, device: Device) -> DescribeAnswer:
    cautions = dict.fromkeys(caution for point in body.points for caution in device.cautions(point))
    return DescribeAnswer(costs=tuple(_cost(point) for point in body.points), cautions=tuple(cautions))
