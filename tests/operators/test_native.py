import shlex

import pytest
import torch

from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.operators import chunked, chunked_layer, compilers, native
from hyenaprof.operators.base import load
from hyenaprof.worker.verify import verify

CPU = torch.device("cpu")
SHAPE = Shape(batch=1, length=9, width=4, heads=1)


def built(*, dtype=DType.FLOAT32, scope=Scope.LAYER, shape=SHAPE, implementation="native", **options):
    return load("hyena", options).build(implementation, shape, scope, dtype=dtype, device=CPU)


@pytest.fixture
def compiled():
    try:
        native.native_code()
    except Unsupported as reason:
        pytest.skip(str(reason))


@pytest.fixture
def fresh():
    """No code compiled yet, and none left behind."""
    native.native_code.cache_clear()
    yield
    native.native_code.cache_clear()


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 61, 128, 509])
def test_native_is_the_definition_values_and_gradients(monkeypatch, scope, order, length):
    torch.set_num_threads(2 if length > 100 else 1)
    monkeypatch.setattr(chunked, "CHUNK_BYTES_A_THREAD", 2048)
    monkeypatch.setattr(chunked_layer, "GROUP_BYTES", {"cpu": 4096})
    monkeypatch.setattr(chunked_layer, "LEAST_GROUP", 7)
    point = Point(
        operator="hyena",
        implementation="native",
        scope=scope,
        phase=Phase.TRAINING,
        shape=Shape(batch=2, length=length, width=16, heads=1),
        dtype=DType.FLOAT32,
        device="cpu",
        options={"order": order},
    )
    check = verify(load("hyena", {"order": order}), point, CPU, "here")
    assert check.passed, check.worst


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
@pytest.mark.parametrize(("length", "width"), [(1, 1), (2, 9), (3, 7), (4096, 8), (4097, 11), (20011, 9), (32768, 17)])
def test_long_transforms_and_vectors_that_are_not_full_lose_no_digits(scope, length, width):
    """Transforms cut in four down to what fits a cache, of odd and even powers of two, with lanes left over."""
    torch.set_num_threads(2 if length > 4096 else 1)
    operator, shape = load("hyena", {"frequency": 1.0}), Shape(batch=1, length=length, width=width, heads=1)
    inputs = operator.inputs(shape, scope, dtype=DType.FLOAT32, device=CPU, seed=0)
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    mine, theirs = (
        built(scope=scope, shape=shape, dtype=dtype, implementation=made, frequency=1.0)(*given)
        for dtype, made, given in ((DType.FLOAT32, "native", inputs), (DType.FLOAT64, "fft", exact))
    )
    allowed = 1e-6 if scope is Scope.CORE else 4e-6
    assert (mine - theirs).abs().max() <= allowed * theirs.abs().max()
    dy = torch.randn(mine.shape, generator=torch.Generator().manual_seed(1))
    got, expected = torch.autograd.grad(mine, list(inputs), dy), torch.autograd.grad(theirs, exact, dy.double())
    for gradient, value in zip(got[:2], expected[:2], strict=True):
        assert (gradient - value).abs().max() <= allowed * value.abs().max()


@pytest.mark.parametrize("points", [4, 8, 256, 2048])
def test_the_tables_are_roots_of_unity_and_of_i(points):
    twist, twiddles = native.turning_tables(points)
    turned = torch.view_as_complex(twist.double().contiguous())
    assert (turned[-1] * turned[1] - 1j).abs() < 1e-6
    first = torch.view_as_complex(twiddles.double()[: 6 * (points // 4)].view(-1, 3, 2).contiguous())
    assert (first[:, 0] ** points - 1).abs().max() < 1e-4
    assert (first[:, 1] - first[:, 0] ** 2).abs().max() < 1e-6
    assert (first[:, 2] - first[:, 0] ** 3).abs().max() < 1e-6


@pytest.mark.usefixtures("compiled")
def test_sums_past_a_block_lose_no_digits():
    """A short filter's gradients sum 10001 terms, more than are summed in float32 before the sum goes on in float64."""
    operator, shape = load("hyena", {}), Shape(batch=1, length=10001, width=2, heads=1)
    inputs = operator.inputs(shape, Scope.CORE, dtype=DType.FLOAT32, device=CPU, seed=0)
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    outputs = (
        built(scope=Scope.CORE, shape=shape)(*inputs),
        built(scope=Scope.CORE, shape=shape, dtype=DType.FLOAT64, implementation="fft")(*exact),
    )
    dy = torch.randn(outputs[0].shape, generator=torch.Generator().manual_seed(1))
    got = torch.autograd.grad(outputs[0], list(inputs), dy)
    for mine, theirs in zip(got, torch.autograd.grad(outputs[1], exact, dy.double()), strict=True):
        assert (mine - theirs).abs().max() <= 1e-6 * theirs.abs().max()


def test_another_dtype_or_short_filter_is_unsupported():
    with pytest.raises(Unsupported, match="float32, not in bfloat16"):
        built(dtype=DType.BFLOAT16)
    with pytest.raises(Unsupported, match="3 taps, not 4"):
        built(short_taps=4)


def test_another_device_is_unsupported():
    with pytest.raises(Unsupported, match="on a CPU, not on cuda"):
        native.refuse_what_native_cannot(torch.float32, torch.device("cuda"), 3)


@pytest.mark.usefixtures("fresh")
def test_without_a_compiler_native_is_unsupported(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unsupported, match="no C"):
        built()


@pytest.mark.usefixtures("fresh")
def test_a_compiler_that_is_not_there_is_named_by_the_system(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Unsupported, match="cannot be run"):
        built()


@pytest.mark.usefixtures("fresh")
def test_a_compiler_that_refuses_is_quoted(monkeypatch, tmp_path):
    refusing = tmp_path / "refusing"
    refusing.write_text("#!/bin/sh\necho 'error: bad flag' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("CXX", str(refusing))
    with pytest.raises(Unsupported, match="refuses: error: bad flag"):
        built()


@pytest.mark.usefixtures("fresh")
def test_a_compiler_that_does_not_end_is_unsupported(monkeypatch, tmp_path):
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\nexec sleep 9\n")
    endless.chmod(0o755)
    monkeypatch.setenv("CXX", str(endless))
    monkeypatch.setattr(native, "COMPILER_LIMIT_S", 0.1)
    with pytest.raises(Unsupported, match=r"the C\+\+ compiler .*endless did not end within 0\.1 s"):
        built()


@pytest.mark.usefixtures("compiled", "fresh")
def test_a_compiler_with_arguments_is_run_with_them(monkeypatch):
    monkeypatch.setenv("CXX", shlex.join(["/usr/bin/env", *compilers.cxx_compiler()]))
    assert compilers.cxx_compiler()[0] == "/usr/bin/env"
    assert built() is not None
