from functools import partial

import pytest
import torch

from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Scope, Shape
from hyenaprof.operators import compiled
from hyenaprof.operators.base import load

CPU = torch.device("cpu")


def built(length, **options):
    shape = Shape(batch=1, length=length, width=4, heads=1)
    operator = load("hyena", options)
    return operator.build("compiled", shape, Scope.LAYER, dtype=DType.FLOAT32, device=CPU), operator.inputs(
        shape, Scope.LAYER, dtype=DType.FLOAT32, device=CPU, seed=0
    )


@pytest.fixture
def fresh():
    """No stages compiled yet, and none left behind."""
    compiled._compiled.cache_clear()
    yield
    compiled._compiled.cache_clear()


def test_without_a_compiler_it_is_unsupported(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unsupported, match=r"^no C\+\+ compiler"):
        built(100)


def test_a_tiny_sequence_needs_no_compiler(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    launch, inputs = built(3)
    assert launch(*inputs).shape == (1, 3, 4)


@pytest.mark.usefixtures("fresh")
def test_a_compiler_that_refuses_is_quoted(monkeypatch):
    def refuse(*_):
        raise torch._dynamo.exc.TorchDynamoException("no such instruction\nand much more")

    monkeypatch.setenv("CXX", "c++")
    monkeypatch.setattr(torch, "compile", lambda *_, **__: refuse)
    with pytest.raises(Unsupported, match=r"torch\.compile refuses: no such instruction$"):
        built(100)


def test_it_is_compiled_when_built_and_not_in_the_first_call():
    from torch._dynamo.utils import counters

    try:
        launch, inputs = built(200)
    except Unsupported as reason:
        pytest.skip(str(reason))
    counters.clear()
    torch.autograd.grad(launch(*inputs).sum(), list(inputs))
    with torch.no_grad():
        launch(*inputs)
    assert counters["stats"]["unique_graphs"] == 0


def test_the_gradients_of_the_stages_as_written_are_those_of_finite_differences():
    """Below 16 positions nothing is compiled; what is gives its buffers away and cannot be asked twice for a gradient."""
    operator, shape = load("hyena", {"order": 3}), Shape(batch=1, length=5, width=2, heads=1)
    inputs = operator.inputs(shape, Scope.CORE, dtype=DType.FLOAT64, device=CPU, seed=0)
    launch = operator.build("compiled", shape, Scope.CORE, dtype=DType.FLOAT64, device=CPU)
    assert torch.autograd.gradcheck(launch, tuple(inputs))


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("taps", [1, 2, 3, 5])
def test_the_stages_as_written_are_the_plain_core(order, taps):
    operator, shape = load("hyena", {"order": order, "short_taps": taps}), Shape(batch=2, length=9, width=3, heads=1)
    inputs = operator.inputs(shape, Scope.CORE, dtype=DType.FLOAT64, device=CPU, seed=0)
    plain, ours = (
        operator.build(made, shape, Scope.CORE, dtype=DType.FLOAT64, device=CPU)(*inputs)
        for made in ("fft", "compiled")
    )
    assert torch.allclose(plain, ours, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("fresh")
def test_ten_problems_that_share_the_stages_are_each_compiled(monkeypatch):
    """Ten orders are more versions of `enter` than the 8 that torch makes by its own limit."""
    from torch._dynamo.utils import counters

    torch.compiler.reset()
    monkeypatch.setenv("CXX", "c++")  # not run: the backend is none
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    counters.clear()
    for order in range(2, 12):
        before = counters["stats"]["unique_graphs"]
        built(64, order=order)
        assert counters["stats"]["unique_graphs"] > before, order
