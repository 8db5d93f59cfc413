import pytest
import torch

from hyenaprof.errors import OperatorError, Unsupported
from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.operators import OPERATORS
from hyenaprof.operators.base import load
from hyenaprof.operators.implicit_filter import ImplicitFilter
from hyenaprof.worker.verify import verify

CPU = torch.device("cpu")
SHAPE = Shape(batch=2, length=45, width=24, heads=1)
IMPLEMENTATIONS = OPERATORS["hyena"].implementations


def prepared(implementation, **options):
    operator = load("hyena", {"filter": "cached", **options})
    inputs = operator.inputs(SHAPE, Scope.LAYER, dtype=DType.FLOAT32, device=CPU, seed=3)
    try:
        return operator.build(implementation, SHAPE, Scope.LAYER, dtype=DType.FLOAT32, device=CPU), inputs
    except Unsupported as reason:
        pytest.skip(str(reason))


def asked(implementation, phase):
    return Point(
        operator="hyena",
        implementation=implementation,
        scope=Scope.LAYER,
        phase=phase,
        shape=SHAPE,
        dtype=DType.FLOAT32,
        device="cpu",
        options={"filter": "cached"},
    )


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_layer_with_its_filter_kept_is_its_definition(implementation):
    try:
        check = verify(load("hyena", {"filter": "cached"}), asked(implementation, Phase.FORWARD), CPU, "")
    except Unsupported as reason:
        pytest.skip(str(reason))
    assert check.passed, check.worst
    assert {entry.quantity for entry in check.entries} >= {"output", "causality at 22"}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("order", [2, 3])
def test_the_filter_is_made_once_and_again_when_its_parameters_change(monkeypatch, implementation, order):
    made = []
    hidden = ImplicitFilter.hidden
    monkeypatch.setattr(ImplicitFilter, "hidden", lambda self, *given: made.append(1) or hidden(self, *given))
    launch, inputs = prepared(implementation, order=order)
    fresh, _ = prepared(implementation, order=order)
    made.clear()
    with torch.no_grad():
        first = launch(*inputs)
        assert torch.equal(launch(*inputs), first)
        assert len(made) == 1
        inputs.last_weight_CW.mul_(2)
        second = launch(*inputs)
        assert len(made) == 2
        assert not torch.allclose(first, second)
        assert torch.equal(fresh(*inputs), second)
        assert torch.equal(launch(*inputs._replace(last_weight_CW=inputs.last_weight_CW / 2)), first)


@pytest.mark.parametrize("implementation", ["chunked", "native"])
def test_spectra_that_hold_the_skips_are_made_again_when_those_change(implementation):
    launch, inputs = prepared(implementation)
    with torch.no_grad():
        first = launch(*inputs)
        inputs.skip_OD.add_(1)
        assert not torch.allclose(launch(*inputs), first)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("phase", [Phase.BACKWARD, Phase.TRAINING])
def test_learning_with_a_kept_filter_is_refused_by_name(implementation, phase):
    with pytest.raises(
        Unsupported, match=rf"hyena:{implementation}\[filter=cached\] has no backward pass: filter=cached"
    ):
        verify(load("hyena", {"filter": "cached"}), asked(implementation, phase), CPU, "")


def test_a_filter_is_recomputed_or_cached_and_nothing_else():
    with pytest.raises(OperatorError, match="filter='kept' is not known"):
        load("hyena", {"filter": "kept"})


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_what_is_kept_is_not_counted_as_work(implementation):
    recomputed, cached = (
        load("hyena", {"filter": kept}).cost(
            implementation, SHAPE, Scope.LAYER, phase=Phase.FORWARD, dtype=DType.FLOAT32
        )
        for kept in ("recomputed", "cached")
    )
    made, _ = ImplicitFilter(orders=1, embedding=33, frequency=14.0, width=64, depth=4, window=True).flops(SHAPE)
    assert recomputed.flops - cached.flops > made


def test_in_core_scope_taps_are_given_and_nothing_is_kept():
    costs = [
        load("hyena", {"filter": kept}).cost("fft", SHAPE, Scope.CORE, phase=Phase.FORWARD, dtype=DType.FLOAT32)
        for kept in ("recomputed", "cached")
    ]
    assert costs[0] == costs[1]
