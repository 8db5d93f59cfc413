from __future__ import annotations

import pytest
import torch
from toys import Scale

from hyenaprof.devices.cpu import CPU
from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.operators.base import load
from hyenaprof.worker.memory import peak_memory
from hyenaprof.worker.outcomes import NotDispatched

MIB = 1024**2
SHAPE = Shape(batch=1, length=4096, width=256, heads=1)  # 4 MiB an activation


def points(operator, *phases, **changes):
    fields = {
        "operator": operator,
        "implementation": "plain",
        "scope": Scope.LAYER,
        "shape": SHAPE,
        "dtype": DType.FLOAT32,
        "device": "cpu",
    }
    return [Point(phase=phase, **(fields | changes)) for phase in phases]


def peaks(operator, asked):
    return [line.peak_bytes for line in peak_memory(asked, operator, CPU(), fingerprint_id="f").lines]


class Chain(Scale):
    """Six activations of 4 MiB live at once: 24 MiB in the forward pass."""

    def call(self, x, weight):
        kept = [x * weight]
        kept.extend(kept[-1].exp() for _ in range(5))
        return kept[-1]


def test_a_known_forward_pass_peaks_at_24_mib_exactly():
    assert peaks(Chain({}), points("toys.Chain", Phase.FORWARD)) == [24 * MIB]


def test_backward_and_training_come_from_one_pass_without_input_weights_and_output_gradient():
    # Forward keeps y (4 MiB). Backward holds the gradient of x (4), and x * dy before it is summed to the weight's (4 + 1 KiB).
    backward, training = peaks(Scale({}), points("toys.Scale", Phase.BACKWARD, Phase.TRAINING))
    assert backward == training == 3 * 4 * MIB + 1024


def test_training_is_the_higher_of_both_passes():
    class Hungry(Scale):
        def call(self, x, weight):
            with torch.no_grad():
                torch.stack([x.detach()] * 8).sum()
            return x * weight

    backward, training = peaks(Hungry({}), points("toys.Hungry", Phase.BACKWARD, Phase.TRAINING))
    assert backward < 16 * MIB
    assert training >= 32 * MIB


def test_what_ran_is_named_by_its_own_time():
    (line,) = peak_memory(points("toys.Scale", Phase.FORWARD), Scale({}), CPU(), fingerprint_id="f").lines
    assert line.dispatched[0] == "aten::mul"
    assert len(line.dispatched) <= 8


def test_a_call_that_did_not_run_what_its_name_says_is_refused():
    class Pretender(Scale):
        def expected_ops(self, implementation, device_type):  # noqa: ARG002 -- the interface's
            return (f"aten::flash_on_{device_type}",)

    with pytest.raises(NotDispatched, match="aten::flash_on_cpu was not dispatched; aten::mul"):
        peaks(Pretender({}), points("toys.Pretender", Phase.FORWARD))


def test_flash_attention_really_dispatches_flash_and_keeps_no_score_matrix():
    shape = Shape(batch=1, length=1024, width=64, heads=1)
    asked = points("flash", Phase.FORWARD, implementation="sdpa", scope=Scope.CORE, shape=shape)
    (peak,) = peaks(load("flash", {}), asked)
    assert peak < 1024 * 1024 * 4


def test_standard_attention_keeps_its_score_matrix():
    shape = Shape(batch=1, length=1024, width=64, heads=1)
    asked = points("attention", Phase.FORWARD, implementation="math", scope=Scope.CORE, shape=shape)
    (peak,) = peaks(load("attention", {}), asked)
    assert peak >= 1024 * 1024 * 4
