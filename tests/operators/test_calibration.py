from __future__ import annotations

import pytest
import torch
from builders import make_point

from hyenaprof.model import DType, Phase, Scope
from hyenaprof.operators.base import load
from hyenaprof.records.sessions import CALIBRATION
from hyenaprof.worker.verify import verify

FLOPS = {"gemm": 2.0 * 33 * 64 * 64, "copy": 0.0}
BYTES = {"gemm": 4.0 * (2 * 33 * 64 + 64 * 64), "copy": 4.0 * 2 * 33 * 64}


def point_of(name, phase):
    return make_point(CALIBRATION[name], 33, implementation="plain", scope=Scope.CORE, phase=phase, width=64, heads=1)


@pytest.mark.parametrize("name", CALIBRATION)
def test_a_calibration_is_the_operator_that_it_says_it_is(name):
    point = point_of(name, Phase.TRAINING)
    line = verify(load(point.operator, {}), point, torch.device("cpu"), "0")
    assert line.passed, line.worst


@pytest.mark.parametrize("name", CALIBRATION)
def test_a_calibrations_cost_is_its_work(name):
    point = point_of(name, Phase.FORWARD)
    cost = load(point.operator, {}).cost("plain", point.shape, point.scope, phase=point.phase, dtype=DType.FLOAT32)
    assert (cost.flops, cost.bytes) == (FLOPS[name], BYTES[name])
