"""Every implementation that a library has, with the library, on a real GPU: verified, dispatched, and in both layouts.

Skipped, with the reason, where there is no GPU; a library that is not there skips its own tests in its own words.
"""

from __future__ import annotations

import pytest
import torch

from hyenaprof.devices.base import resolve
from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Outcome, Phase, Point, Scope, Shape
from hyenaprof.operators import OPERATORS
from hyenaprof.operators.base import load
from hyenaprof.pipe import VisitRules
from hyenaprof.worker.measure import visit
from hyenaprof.worker.memory import peak_memory
from hyenaprof.worker.verify import verify, verify_at_length

pytestmark = pytest.mark.gpu
FLASH = OPERATORS["flash"].implementations
LIBRARIES = ("flashfftconv", "subq", "fla")
CHOSEN_BY_TORCH = ("sdpa", "cudnn", "efficient", "sdpa-fa3", "sdpa-fa4")


@pytest.fixture
def device():
    held = resolve("cuda")
    yield held
    held.release()


def point(operator, implementation, scope=Scope.LAYER, *, length=127, head_dimension=64):
    return Point(
        operator=operator,
        implementation=implementation,
        scope=scope,
        phase=Phase.TRAINING,
        shape=Shape(batch=2, length=length, width=2 * head_dimension, heads=2),
        dtype=DType.BFLOAT16,
        device="cuda",
    )


def checked(asked, device, check=verify):
    try:
        return check(load(asked.operator, {}), asked, device.torch_device, "f")
    except Unsupported as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("implementation", FLASH)
@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
@pytest.mark.parametrize("head_dimension", [64, 128])
def test_attention_is_its_definition_with_every_gradient(device, implementation, scope, head_dimension):
    check = checked(point("flash", implementation, scope, head_dimension=head_dimension), device)
    assert check.passed, check.worst


@pytest.mark.parametrize("implementation", FLASH)
@pytest.mark.parametrize("length", [4096, 5001])
def test_attention_is_right_at_a_length_that_is_timed(device, implementation, length):
    check = checked(point("flash", implementation, Scope.CORE, length=length), device, verify_at_length)
    assert check.passed, check.worst


@pytest.mark.parametrize("implementation", LIBRARIES)
@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
@pytest.mark.parametrize("length", [1, 127, 128, 1024])
def test_a_long_convolution_is_its_definition_with_every_gradient(device, implementation, scope, length):
    check = checked(point("hyena", implementation, scope, length=length), device)
    assert check.passed, check.worst


@pytest.mark.parametrize("implementation", LIBRARIES)
@pytest.mark.parametrize("length", [8192, 32768, 5001])
def test_a_long_convolution_is_right_at_a_length_that_is_timed(device, implementation, length):
    check = checked(point("hyena", implementation, Scope.CORE, length=length), device, verify_at_length)
    assert check.passed, check.worst


@pytest.mark.parametrize("implementation", CHOSEN_BY_TORCH)
def test_torch_dispatched_what_was_pinned(device, implementation):
    asked = point("flash", implementation, length=1024)
    try:
        (line,) = peak_memory([asked], load("flash", {}), device, fingerprint_id="f").lines
    except Unsupported as reason:
        pytest.skip(str(reason))
    assert line.dispatched


def test_what_one_kernel_activates_does_not_stay_for_the_next(device):
    asked = point("flash", "sdpa-fa3", Scope.CORE, length=512)
    operator = load("flash", {})

    def built(implementation):
        return operator.build(implementation, asked.shape, Scope.CORE, dtype=asked.dtype, device=device.torch_device)

    try:
        third = built("sdpa-fa3")
    except Unsupported as reason:
        pytest.skip(str(reason))
    own = built("sdpa")
    inputs = operator.inputs(asked.shape, Scope.CORE, dtype=asked.dtype, device=device.torch_device, seed=0)
    for launch, active in ((third, "FA3"), (own, None), (third, "FA3")):
        launch(*inputs)
        assert torch.nn.attention.current_flash_attention_impl() == active


@pytest.mark.parametrize(
    ("operator", "implementation"), [*(("flash", name) for name in FLASH), *(("hyena", name) for name in LIBRARIES)]
)
def test_it_runs_through_a_visit(device, operator, implementation):
    asked = point(operator, implementation, length=4096)
    try:
        (seen,) = visit([asked], load(operator, {}), device, VisitRules(), round_index=0, order=0, fingerprint_id="f")
    except Unsupported as reason:
        pytest.skip(str(reason))
    assert seen.outcome is Outcome.OK
    assert seen.clean_s
