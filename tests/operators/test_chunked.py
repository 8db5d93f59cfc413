import pytest
import torch

from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.operators import chunked, chunked_layer
from hyenaprof.operators.base import fields_of, load
from hyenaprof.operators.chunked import Cut, parts_of, rows_apart
from hyenaprof.operators.windowed_taps import Window
from hyenaprof.worker.verify import verify

CPU = torch.device("cpu")


@pytest.fixture
def small_cuts(monkeypatch):
    """Chunks of a few channels and groups of a few chunks, so that small problems have several of each."""
    monkeypatch.setattr(chunked, "CHUNK_BYTES_A_THREAD", 2048)
    monkeypatch.setattr(chunked, "CHANNELS_ABREAST", 1)
    monkeypatch.setattr(chunked_layer, "GROUP_BYTES", {"cpu": 4096})
    monkeypatch.setattr(chunked_layer, "LEAST_GROUP", 7)


def checked(length, scope, *, batch=2, width=16, dtype=DType.FLOAT32, **options):
    point = Point(
        operator="hyena",
        implementation="chunked",
        scope=scope,
        phase=Phase.TRAINING,
        shape=Shape(batch=batch, length=length, width=width, heads=1),
        dtype=dtype,
        device="cpu",
        options=options,
    )
    return verify(load("hyena", options), point, CPU, "here")


@pytest.mark.usefixtures("small_cuts")
@pytest.mark.parametrize("length", [1, 2, 3, 5, 31, 64, 127, 128, 255, 509])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_core_is_its_definition_to_a_millionth(length, order):
    for entry in checked(length, Scope.CORE, order=order).entries:
        assert entry.error <= 1e-6, entry


@pytest.mark.usefixtures("small_cuts")
@pytest.mark.parametrize(("batch", "length", "order", "taps"), [(1, 7, 2, 3), (2, 6, 3, 2), (2, 2, 2, 4)])
def test_the_cores_gradients_are_those_of_finite_differences(batch, length, order, taps):
    options = {"order": order, "short_taps": taps}
    inputs, launch = prepared("chunked", Scope.CORE, DType.FLOAT64, batch, length, 5, **options)
    assert torch.autograd.gradcheck(launch, tuple(inputs))


@pytest.mark.usefixtures("small_cuts")
@pytest.mark.parametrize("order", [2, 3])
def test_the_layers_gradients_are_those_of_finite_differences(order):
    options = {"order": order, "embedding": 3, "filter_width": 3, "frequency": 1.0}
    inputs, launch = prepared("chunked", Scope.LAYER, DType.FLOAT64, 2, 5, 9, **options)
    assert torch.autograd.gradcheck(launch, tuple(inputs))


@pytest.mark.usefixtures("small_cuts")
def test_a_length_of_whole_pages_gives_what_the_plain_layer_gives():
    """Of 512 float64 numbers a row: rows are moved apart."""
    inputs, ours = prepared("chunked", Scope.LAYER, DType.FLOAT64, 2, 512, 9, frequency=1.0)
    _, plain = prepared("fft", Scope.LAYER, DType.FLOAT64, 2, 512, 9, frequency=1.0)
    mine, expected = ours(*inputs), plain(*inputs)
    dy = torch.randn(mine.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    pairs = zip(*(torch.autograd.grad(output, list(inputs), dy) for output in (mine, expected)), strict=True)
    for got, wanted in ((mine, expected), *pairs):
        assert (got - wanted).abs().max() <= 1e-11 * wanted.abs().max()
    with torch.no_grad():
        assert torch.allclose(ours(*inputs), expected, rtol=0, atol=1e-11)


def prepared(implementation, scope, dtype, batch, length, width, **options):  # noqa: PLR0917 -- a shape and what to do
    operator, shape = load("hyena", options), Shape(batch=batch, length=length, width=width, heads=1)
    inputs = operator.inputs(shape, scope, dtype=dtype, device=CPU, seed=1)
    return inputs, operator.build(implementation, shape, scope, dtype=dtype, device=CPU)


@pytest.mark.usefixtures("small_cuts")
@pytest.mark.parametrize("dtype", list(DType))
@pytest.mark.parametrize(("batch", "length", "order"), [(1, 33, 2), (3, 64, 2), (2, 47, 3)])
def test_the_layer_is_its_definition_in_every_dtype(dtype, batch, length, order):
    check = checked(length, Scope.LAYER, batch=batch, width=24, dtype=dtype, order=order)
    assert check.passed, check.worst


@pytest.mark.parametrize("options", [{"window": False}, {"short_taps": 1}, {"short_taps": 4}, {"filter_depth": 2}])
def test_every_option_reaches_the_layer(options):
    assert checked(33, Scope.LAYER, **options).passed


def errors_against_float64(implementation, length, frequency):
    """Largest error over largest value of the output and of every gradient."""
    exact, got = (
        values_of(*prepared(made, Scope.LAYER, dtype, 1, length, 32, frequency=frequency), seed=2)
        for made, dtype in (("fft", DType.FLOAT64), (implementation, DType.FLOAT32))
    )
    return {name: float((got[name] - exact[name]).abs().max() / exact[name].abs().max()) for name in exact}


def values_of(inputs, launch, *, seed):
    output = launch(*inputs)
    dy = torch.randn(output.shape, generator=torch.Generator().manual_seed(seed)).to(output.dtype)
    gradients = torch.autograd.grad(output, list(inputs), dy)
    return {"output": output.detach().double()} | {
        name: gradient.double() for name, gradient in zip(fields_of(inputs), gradients, strict=True)
    }


@pytest.mark.parametrize("frequency", [1.0, 14.0])
@pytest.mark.parametrize("length", [1, 2, 3, 61, 509, 1024])
@pytest.mark.parametrize("implementation", ["chunked", "native", "compiled"])
def test_the_layers_error_is_at_most_twice_the_plain_ones(implementation, frequency, length):
    plain = errors_against_float64("fft", length, frequency)
    try:
        ours = errors_against_float64(implementation, length, frequency)
    except Unsupported as reason:
        pytest.skip(str(reason))
    assert len(ours) == 16
    for name, error in ours.items():
        assert error <= 2 * plain[name] + 1e-6, name


@pytest.mark.usefixtures("small_cuts")
@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
@pytest.mark.parametrize("batch", [1, 3])
def test_forward_alone_gives_what_forward_with_gradients_gives(scope, batch):
    inputs, launch = prepared("chunked", scope, DType.FLOAT32, batch, 51, 20)
    recorded = launch(*inputs)
    with torch.no_grad():
        assert torch.allclose(launch(*inputs), recorded, rtol=0, atol=1e-6)
    assert recorded.requires_grad


def test_what_is_kept_for_backward_is_the_streams_the_taps_and_one_convolution_each():
    inputs, launch = prepared("chunked", Scope.CORE, DType.FLOAT32, 2, 64, 8, order=3)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda kept: kept):
        launch(*inputs)
    own = [tensor for tensor in kept if all(tensor.data_ptr() != given.data_ptr() for given in inputs)]
    assert [tuple(tensor.shape) for tensor in own] == [(2, 2, 8, 64)]


@pytest.mark.parametrize(("width", "most"), [(1, 1), (7, 3), (64, 64), (65, 64), (768, 170)])
def test_parts_cover_all_channels_once_in_about_equal_shares(width, most):
    parts = list(parts_of(slice(5, 5 + width), most))
    assert [channel for part in parts for channel in range(part.start, part.stop)] == list(range(5, 5 + width))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1


def test_a_chunk_has_eight_channels_a_thread_however_long(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    cut = Cut.of(2**20, 768, torch.float32, CPU)
    assert cut.channels == 24
    assert cut.points == 2**21


@pytest.mark.parametrize(("length", "dtype"), [(1024, torch.float32), (1023, torch.float32), (512, torch.float64)])
def test_rows_are_never_whole_pages_apart(length, dtype):
    rows = rows_apart(2, 3, length, dtype=dtype, device=CPU)
    assert rows.shape == (2, 3, length)
    assert rows.stride(1) * dtype.itemsize % 4096 != 0
    assert rows.stride(1) - length < 32


@pytest.mark.parametrize("length", [1, 2, 3, 15, 16, 17, 1000])
def test_the_window_is_one_exponential_a_tap(length):
    rates = torch.tensor([3.07, 9.0, 15.35], dtype=torch.float64)
    taps = torch.ones(2, length, dtype=torch.float64)
    Window.of(rates, length, torch.float64, CPU).apply_(taps, slice(1, 3))
    expected = torch.exp(-rates[1:, None] * torch.linspace(0, 1, length, dtype=torch.float64))
    assert torch.allclose(taps, expected, rtol=1e-14, atol=0)


def test_chunked_is_predicted_to_take_a_third_of_the_plain_ones_memory_forward_and_half_in_training():
    operator, shape = load("hyena", {}), Shape(batch=1, length=8192, width=768, heads=12)

    def need(implementation, phase):
        return operator.cost(implementation, shape, Scope.LAYER, phase=phase, dtype=DType.FLOAT32).need_bytes

    assert need("chunked", Phase.FORWARD) < 0.3 * need("fft", Phase.FORWARD)
    assert need("chunked", Phase.TRAINING) < 0.5 * need("fft", Phase.TRAINING)


@pytest.mark.parametrize("implementation", ["chunked", "native"])
def test_a_million_tokens_forward_are_predicted_to_fit_24_gib(implementation):
    shape = Shape(batch=1, length=2**20, width=768, heads=12)
    cost = load("hyena", {}).cost(implementation, shape, Scope.LAYER, phase=Phase.FORWARD, dtype=DType.FLOAT32)
    activation = 4 * 2**20 * 768
    assert 3 * activation < cost.need_bytes < 24 * 2**30
    assert cost.need_bytes < 4 * activation
