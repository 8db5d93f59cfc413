import pytest
import torch

from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.operators.base import load
from hyenaprof.worker.verify import verify

CPU = torch.device("cpu")


def checked(length, scope, *, dtype=DType.FLOAT32, batch=2, **options):
    point = Point(
        operator="hyena",
        implementation="fft",
        scope=scope,
        phase=Phase.TRAINING,
        shape=Shape(batch=batch, length=length, width=16, heads=1),
        dtype=dtype,
        device="cpu",
        options=options,
    )
    return verify(load("hyena", options), point, CPU, "here")


@pytest.mark.parametrize("length", [1, 2, 3, 5, 31, 64, 127, 128, 255, 509])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_core_is_its_definition_to_a_millionth(length, order):
    for entry in checked(length, Scope.CORE, order=order).entries:
        assert entry.error <= 1e-6, entry


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("frequency", [1.0, 14.0])
def test_the_layer_is_its_definition_in_float64(order, frequency):
    for entry in checked(61, Scope.LAYER, dtype=DType.FLOAT64, order=order, frequency=frequency).entries:
        assert entry.error <= 1e-12, entry


@pytest.mark.parametrize("options", [{"window": False}, {"short_taps": 1}, {"short_taps": 4}, {"filter_depth": 2}])
def test_every_option_reaches_both_the_operator_and_its_definition(options):
    assert checked(33, Scope.LAYER, **options).passed
    plain = load("hyena", {}).inputs(
        Shape(batch=1, length=33, width=8, heads=1), Scope.LAYER, dtype=DType.FLOAT32, device=CPU, seed=0
    )
    set_ = load("hyena", options)
    given = set_.inputs(
        Shape(batch=1, length=33, width=8, heads=1), Scope.LAYER, dtype=DType.FLOAT32, device=CPU, seed=0
    )
    shape = Shape(batch=1, length=33, width=8, heads=1)
    build = {"shape": shape, "scope": Scope.LAYER, "dtype": DType.FLOAT32, "device": CPU}
    assert not torch.allclose(load("hyena", {}).build("fft", **build)(*plain), set_.build("fft", **build)(*given))


def test_the_recurrence_by_hand():
    """Two channels, three positions, order 2: gate, convolve, skip, gate, with a short filter that passes all through."""
    operator = load("hyena", {})
    shape = Shape(batch=1, length=3, width=1, heads=1)
    core = operator.build("fft", shape, Scope.CORE, dtype=DType.FLOAT64, device=CPU)
    x0, x1, v = [1.0, 2.0, 3.0], [2.0, 1.0, -1.0], [1.0, 3.0, 2.0]
    z = torch.tensor([[x0, x1, v]], dtype=torch.float64)
    taps = torch.tensor([[[1.0, 0.5, 0.25]]], dtype=torch.float64)
    through = torch.tensor([[0.0, 0.0, 1.0]] * 3, dtype=torch.float64)
    # u = x1 v = [2, 3, -2]; h * u = [2, 4, 0]; with skip 10: [22, 34, -20]
    y = core(z, taps, through, torch.zeros(3, dtype=torch.float64), torch.tensor([[10.0]], dtype=torch.float64))
    assert torch.allclose(y, torch.tensor([[[22.0, 68.0, -60.0]]], dtype=torch.float64))


def test_order_three_gates_with_the_later_stream_first():
    operator = load("hyena", {"order": 3})
    shape = Shape(batch=1, length=2, width=1, heads=1)
    core = operator.build("fft", shape, Scope.CORE, dtype=DType.FLOAT64, device=CPU)
    z = torch.tensor([[[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [3.0, 5.0]]], dtype=torch.float64)
    taps = torch.tensor([[[1.0, 1.0]], [[2.0, 1.0]]], dtype=torch.float64)
    through = torch.tensor([[0.0, 0.0, 1.0]] * 4, dtype=torch.float64)
    # x2 v = [0, 5]; h0 *: [0, 5]; x1: [0, 0] -> 0. Gating with x1 first would give [3, 0], [3, 3], x2: [0, 3], [0, 6].
    y = core(z, taps, through, torch.zeros(4, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64))
    assert torch.allclose(y, torch.zeros(1, 1, 2, dtype=torch.float64), atol=1e-15)


def test_a_direct_form_of_filters_as_long_as_the_sequence_is_refused_before_it_is_tried():
    shape = Shape(batch=1, length=9, width=4, heads=1)
    with pytest.raises(Unsupported, match=r"direct is for short filters; with one of L taps it would take O\(L\^2\)"):
        load("hyena", {}).build("direct", shape, Scope.LAYER, dtype=DType.FLOAT32, device=CPU)


def test_the_parameter_count_of_the_papers_setting():
    cost = load("hyena", {}).cost(
        "fft",
        Shape(batch=1, length=1024, width=768, heads=12),
        Scope.LAYER,
        phase=Phase.FORWARD,
        dtype=DType.FLOAT32,
    )
    assert cost.parameters == 2_465_856


@pytest.mark.parametrize(("order", "convolutions"), [(2, 1), (3, 2), (4, 3)])
def test_a_layer_of_order_n_holds_n_minus_one_long_convolutions(order, convolutions):
    operator = load("hyena", {"order": order})
    assert operator.long_convolutions == convolutions
    inputs = operator.inputs(
        Shape(batch=1, length=5, width=2, heads=1), Scope.CORE, dtype=DType.FLOAT32, device=CPU, seed=0
    )
    assert inputs.taps_ODL.shape == (convolutions, 2, 5)


def test_filters_stay_in_float32_where_activations_have_16_bits():
    inputs = load("hyena", {}).inputs(
        Shape(batch=1, length=9, width=4, heads=1), Scope.LAYER, dtype=DType.BFLOAT16, device=CPU, seed=0
    )
    wide = {name for name, tensor in inputs._asdict().items() if tensor.dtype == torch.float32}
    assert wide == {
        "features_LE",
        "first_weight_WE",
        "first_bias_W",
        "inner_weight_IWW",
        "inner_bias_IW",
        "last_weight_CW",
        "frequency_W",
    }


def test_flops_and_bytes_by_hand():
    options = {"embedding": 3, "filter_width": 2, "filter_depth": 2}
    operator, shape = load("hyena", options), Shape(batch=1, length=8, width=4, heads=1)

    def cost(scope, phase, dtype=DType.FLOAT32):
        return operator.cost("fft", shape, scope, phase=phase, dtype=dtype)

    pointwise = 2 * 3 * 3 * 32 + 2 * 32 + 2 * 32  # short filter, gates, skip
    transforms = 4 * (3 * 5 * 8 * 4)  # D (2B + 1) 5 L log2(2L)
    product = 4 * 6 * 9
    assert cost(Scope.CORE, Phase.FORWARD).flops == pointwise + transforms + product
    assert cost(Scope.CORE, Phase.BACKWARD).flops == 2 * pointwise + transforms + 2 * product
    layer = cost(Scope.LAYER, Phase.FORWARD)
    assert layer.flops == pointwise + transforms + product + 2 * 4 * 8 * 16 + (2 * 8 * 14 + 16 + 32)
    assert layer.parameters == 80 + 48 + 4 + 42
    assert layer.flops_paper == 2 * (2 * 16 * 8 + 3 * 2 * 4 * 8 + 5 * 4 * 8 * 3 + 16 * 8)
    # core: three streams and the taps read, y written; layer: x, z twice, y twice, out, taps twice, weights
    assert cost(Scope.CORE, Phase.FORWARD).bytes == 4 * (4 * 32 + 32)
    assert layer.bytes == 4 * (10 * 32 + 2 * 32 + 4 * 4 * 5 + 42)
    half = cost(Scope.CORE, Phase.FORWARD, DType.BFLOAT16)
    assert half.bytes == 2 * 4 * 32 + 4 * 32
