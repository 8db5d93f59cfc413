import pytest
import torch
from torch import Tensor

from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.operators import OPERATORS, OperatorEntry
from hyenaprof.operators.attention import FlashAttention
from hyenaprof.operators.base import load
from hyenaprof.operators.hyena import Hyena
from hyenaprof.worker.tolerances import TOLERANCES, tolerance_of
from hyenaprof.worker.verify import verify, verify_at_length

CPU = torch.device("cpu")


def point(operator="hyena", implementation="fft", scope=Scope.CORE, *, length=40, dtype=DType.FLOAT32, **shape):
    return Point(
        operator=operator,
        implementation=implementation,
        scope=scope,
        phase=shape.pop("phase", Phase.TRAINING),
        shape=Shape(**{"batch": 2, "length": length, "width": 8, "heads": 2, **shape}),
        dtype=dtype,
        device="cpu",
    )


def red(check):
    return {entry.quantity for entry in check.entries if not entry.passed}


def green(check):
    return {entry.quantity for entry in check.entries if entry.passed}


class Warped(Hyena):
    """Hyena with what it gives, or the gradients it gives, passed through a fault."""

    def __init__(self, *, forward=lambda y: y, before=lambda inputs: inputs, **options):
        super().__init__({**OPERATORS["hyena"].options, **options})
        self.forward, self.before = forward, before

    def build(self, implementation, shape, scope, *, dtype, device):
        launch = super().build(implementation, shape, scope, dtype=dtype, device=device)
        return lambda *inputs: self.forward(launch(*self.before(inputs)))


class WrongGradient(torch.autograd.Function):
    """The identity, with a gradient that is wrong from some position on."""

    @staticmethod
    def forward(ctx, x: Tensor, start: int) -> Tensor:
        ctx.start = start
        return x.view_as(x)

    @staticmethod
    def backward(ctx, dx: Tensor):
        wrong = dx.clone()
        wrong[..., ctx.start :] *= 1.1
        return wrong, None


def wrong_gradient_of(index, start):
    def before(inputs):
        return [WrongGradient.apply(x, start) if i == index else x for i, x in enumerate(inputs)]

    return before


@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
@pytest.mark.parametrize("dtype", list(DType))
@pytest.mark.parametrize(("operator", "implementation"), [("hyena", "fft"), ("flash", "sdpa"), ("attention", "math")])
def test_what_is_right_is_green_in_every_dtype(operator, implementation, scope, dtype):
    asked = point(operator, implementation, scope, dtype=dtype)
    check = verify(load(operator, {}), asked, CPU, "abc")
    assert check.passed, check.worst
    assert check.point == asked
    assert check.method == "float64 definition"
    assert check.fingerprint_id == "abc"


def test_a_value_that_is_wrong_is_red():
    check = verify(Warped(forward=lambda y: y * 1.001), point(), CPU, "")
    assert "output" in red(check)
    assert check.worst.error == pytest.approx(0.001, rel=0.1)


def test_one_wrong_value_among_all_is_red():
    def spoil(y):
        spoilt = y.clone()
        spoilt[1, 3, 17] += 0.01
        return spoilt

    assert red(verify(Warped(forward=spoil), point(), CPU, "")) == {"output"}


def test_a_gradient_that_is_wrong_is_red_and_named_and_no_other_is():
    check = verify(Warped(before=wrong_gradient_of(1, start=30)), point(), CPU, "")
    assert red(check) == {"gradient of taps"}


def test_every_gradient_of_a_layer_is_looked_at():
    inputs = load("hyena", {}).inputs(point().shape, Scope.LAYER, dtype=DType.FLOAT32, device=CPU, seed=0)
    for index, tensor in enumerate(inputs):
        start = tensor.shape[-1] // 2
        check = verify(Warped(before=wrong_gradient_of(index, start=start)), point(scope=Scope.LAYER), CPU, "")
        assert len(red(check)) == 1


def test_an_output_cut_off_from_its_inputs_is_red():
    check = verify(Warped(forward=lambda y: y.detach()), point(), CPU, "")
    assert "output" in green(check)
    assert {"gradient of z", "gradient of taps"} <= red(check)


def test_a_look_into_the_future_is_red():
    check = verify(Warped(forward=lambda y: y + 1e-3 * y.roll(-1, dims=-1)), point(), CPU, "")
    assert {"causality at 1", "causality at 20", "causality at 39"} <= red(check)


def test_causality_is_looked_at_in_keys_and_values_too():
    class Bidirectional(FlashAttention):
        def kernel(self, implementation, shape, *, dtype, device):
            del implementation, shape, dtype, device
            return torch.nn.functional.scaled_dot_product_attention

    check = verify(Bidirectional({}), point("flash", "sdpa"), CPU, "")
    assert {"output", "causality at 20"} <= red(check)


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_has_no_error_and_is_red(poison):
    def spoil(y):
        spoilt = y.clone()
        spoilt[0, 0, -1] = poison
        return spoilt

    check = verify(Warped(forward=spoil), point(), CPU, "")
    output = next(entry for entry in check.entries if entry.quantity == "output")
    assert output.error is None
    assert not output.passed
    assert not check.passed


def test_an_output_of_another_shape_is_red():
    check = verify(Warped(forward=lambda y: y[:, :4]), point(), CPU, "")
    assert {"output", "gradient of z"} <= red(check)


def test_the_pass_without_gradients_is_checked_apart_from_the_one_with():
    def only_untracked(y):
        return y if y.requires_grad else y + 1

    assert red(verify(Warped(forward=only_untracked), point(), CPU, "")) >= {"output"}


def test_gradients_are_checked_when_only_forward_was_asked_for():
    asked = point(phase=Phase.FORWARD)
    assert red(verify(Warped(before=wrong_gradient_of(0, start=3)), asked, CPU, "")) == {"gradient of z"}


class ForwardOnly(Hyena):
    def differentiable(self, implementation):
        return implementation != "fft"


def test_an_implementation_without_a_backward_pass_is_unsupported_where_one_is_needed():
    operator = ForwardOnly(OPERATORS["hyena"].options)
    with pytest.raises(Unsupported, match="no backward pass"):
        verify(operator, point(), CPU, "")
    check = verify(operator, point(phase=Phase.FORWARD), CPU, "")
    assert check.passed
    assert not any(entry.quantity.startswith("gradient") for entry in check.entries)


def test_there_is_a_tolerance_for_every_scope_and_dtype_and_it_grows_with_rounding():
    for scope in (Scope.CORE, Scope.LAYER):
        values = [
            TOLERANCES[scope, dtype].values for dtype in (DType.FLOAT64, DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16)
        ]
        assert values == sorted(values)
        for dtype in DType:
            assert TOLERANCES[scope, dtype].sums >= TOLERANCES[scope, dtype].values
    assert tolerance_of(point()).values == 1e-6
    assert tolerance_of(point(scope=Scope.LAYER)).values == 1e-4
    assert tolerance_of(point(dtype=DType.FLOAT16)).values == 4e-3
    assert tolerance_of(point(dtype=DType.BFLOAT16)).values == 2e-2
    assert tolerance_of(point(scope=Scope.BLOCK)) == tolerance_of(point(scope=Scope.LAYER))


ILL_CONDITIONED = [(24, 3, 64, 2, 0), (24, 1, 33, 2, 95), (8, 2, 127, 2, 172), (16, 2, 127, 4, 112)]
"""Width, batch, length, order and seed at which float32 took a gradient of hyena:fft beyond 1e-4 where it was measured."""


def conditioned_point(width, batch, length, order, seed):
    asked = point(scope=Scope.LAYER, length=length, width=width, batch=batch, heads=1)
    return asked.model_copy(update={"seed": seed, "options": {"order": order}})


@pytest.mark.parametrize("row", ILL_CONDITIONED)
def test_what_is_right_is_green_however_ill_conditioned(row):
    asked = conditioned_point(*row)
    check = verify(load("hyena", {"order": row[3]}), asked, CPU, "")
    assert check.passed, check.worst


class WrongChannel(torch.autograd.Function):
    """The identity, with a gradient that is 1 % off in one index of one axis."""

    @staticmethod
    def forward(ctx, x: Tensor, axis: int, index: int) -> Tensor:
        ctx.place = axis, index
        return x.view_as(x)

    @staticmethod
    def backward(ctx, dx: Tensor):
        wrong = dx.clone()
        wrong.select(*ctx.place).mul_(1.01)
        return wrong, None, None


def middling_channels(row):
    """Each weight of a layer with its axis of channels, and the channel whose largest gradient is the median one."""
    asked, operator = conditioned_point(*row), load("hyena", {"order": row[3]})
    inputs = operator.inputs(asked.shape, Scope.LAYER, dtype=DType.FLOAT32, device=CPU, seed=asked.seed)
    launch = operator.build("fft", asked.shape, Scope.LAYER, dtype=DType.FLOAT32, device=CPU)
    output = launch(*inputs)
    dy = torch.randn(output.shape, generator=torch.Generator().manual_seed(asked.seed + 1))
    for index, (name, gradient) in enumerate(
        zip(inputs._fields, torch.autograd.grad(output, list(inputs), dy), strict=True)
    ):
        axis = 1 if name in {"skip_OD", "inner_weight_IWW", "inner_bias_IW"} else 0
        if "L" not in name.rpartition("_")[2]:
            largest = gradient.movedim(axis, 0).flatten(1).abs().amax(1) if gradient.dim() > 1 else gradient.abs()
            yield index, name.rpartition("_")[0], axis, int(largest.argsort()[len(largest) // 2])


@pytest.mark.parametrize("row", ILL_CONDITIONED)
def test_one_percent_in_a_middling_channel_of_any_weights_gradient_is_red_however_ill_conditioned(row):
    faults = list(middling_channels(row))
    assert len(faults) == 13
    for place, name, axis, channel in faults:

        def before(inputs, place=place, axis=axis, channel=channel):
            return [WrongChannel.apply(x, axis, channel) if i == place else x for i, x in enumerate(inputs)]

        faulty = Warped(before=before, order=row[3])
        assert red(verify(faulty, conditioned_point(*row), CPU, "")) == {f"gradient of {name}"}


class TwoWays(Hyena):
    """Hyena as `fft`, and as `sloppy` with an error of its own choice."""

    sloppiness = 0.0

    def build(self, implementation, shape, scope, *, dtype, device):
        launch = super().build("fft", shape, scope, dtype=dtype, device=device)
        if implementation == "fft":
            return launch
        return lambda *inputs: launch(*inputs) * (1 + self.sloppiness)


@pytest.fixture
def two_ways(monkeypatch):
    entry = OperatorEntry(
        target="", implementations=("fft", "sloppy"), family="toy", exponent=1.0, paper="none", options={}
    )
    monkeypatch.setitem(OPERATORS, "two", entry)
    return TwoWays(OPERATORS["hyena"].options)


@pytest.mark.parametrize(("sloppiness", "passes"), [(5e-6, True), (9e-5, False)])
def test_a_layer_may_be_off_by_twice_what_the_plain_one_is_and_no_more(two_ways, sloppiness, passes):
    two_ways.sloppiness = sloppiness
    asked = point("two", "sloppy", Scope.LAYER)
    check = verify(two_ways, asked, CPU, "")
    assert check.passed is passes
    output = next(entry for entry in check.entries if entry.quantity == "output")
    assert 1e-5 <= output.tolerance < 9e-5


class OffBy(torch.autograd.Function):
    """The identity, with a gradient that is off by a share of itself."""

    @staticmethod
    def forward(ctx, x: Tensor, share: float) -> Tensor:
        ctx.share = share
        return x.view_as(x)

    @staticmethod
    def backward(ctx, dx: Tensor):
        return dx * (1 + ctx.share), None


class TwoGradients(Hyena):
    """Hyena in float64 arithmetic, rounded once, with a gradient of the inner weight that is off by what is chosen."""

    shares: dict[str, float]

    def build(self, implementation, shape, scope, *, dtype, device):
        del dtype
        launch = super().build("fft", shape, scope, dtype=DType.FLOAT64, device=device)

        def launch_off(*inputs):
            place = inputs_of(self, shape, scope)._fields.index("inner_weight_IWW")
            wide = [x.double() for x in inputs]
            wide[place] = OffBy.apply(wide[place], self.shares[implementation])
            return launch(*wide).float()

        return launch_off


def inputs_of(operator, shape, scope):
    return operator.inputs(shape, scope, dtype=DType.FLOAT32, device=CPU, seed=0)


@pytest.mark.usefixtures("two_ways")
@pytest.mark.parametrize(
    ("judged", "plain", "other", "passes"),
    [
        ("sloppy", 0.95e-4, 1.1e-4, True),
        ("sloppy", 1.1e-4, 0.95e-4, True),
        ("fft", 2.85e-4, 0.0, True),
        ("sloppy", 0.95e-4, 2.85e-4, False),
    ],
)
def test_a_gradient_just_beyond_the_table_is_widened_for_both_and_held_to_twice_the_plain_one(
    judged, plain, other, passes
):
    two = TwoGradients({**OPERATORS["hyena"].options, "frequency": 100.0})  # sines of 100 x: a wide condition
    two.shares = {"fft": plain, "sloppy": other}
    check = verify(two, point("two", judged, Scope.LAYER), CPU, "")
    assert red(check) == (set() if passes else {"gradient of inner_weight"})


@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.BFLOAT16])
@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
@pytest.mark.parametrize(("operator", "implementation"), [("hyena", "fft"), ("flash", "sdpa"), ("attention", "math")])
@pytest.mark.parametrize("length", [1, 70, 1009])
def test_what_is_right_is_green_at_length(operator, implementation, scope, dtype, length):
    check = verify_at_length(
        load(operator, {}), point(operator, implementation, scope, length=length, dtype=dtype), CPU, "abc"
    )
    assert check.passed, check.worst
    assert check.fingerprint_id == "abc"


@pytest.mark.parametrize("order", [2, 3])
def test_at_length_the_core_of_hyena_is_compared_channel_by_channel(order):
    operator = load("hyena", {"order": order})
    check = verify_at_length(operator, point(length=509), CPU, "")
    assert check.method == "sampled positions in float64"
    direct = {"output by direct sums", "gradient of v by direct sums", "gradient of taps by direct sums"}
    assert green(check) == {
        "output",
        "gradient of z",
        "gradient of taps",
        "gradient of short_weight",
        "gradient of short_bias",
        "gradient of skip",
        "causality at 254",
    } | (direct if order == 2 else set())


@pytest.mark.parametrize(("index", "name"), [(0, "z"), (1, "taps")])
def test_a_gradient_wrong_only_beyond_a_length_is_red_at_length(index, name):
    faulty = Warped(before=wrong_gradient_of(index, start=1500))
    assert verify(faulty, point(length=60), CPU, "").passed
    assert f"gradient of {name}" in red(verify_at_length(faulty, point(length=2003), CPU, ""))


def test_values_wrong_only_beyond_a_length_are_red_at_length():
    def spoil(y):
        spoilt = y.clone()
        spoilt[..., 1500:] *= 1.01
        return spoilt

    faulty = Warped(forward=spoil)
    assert verify(faulty, point(length=60), CPU, "").passed
    assert {"output", "output by direct sums"} <= red(verify_at_length(faulty, point(length=2003), CPU, ""))


class FaultyFlash(FlashAttention):
    """Flash attention with a wrong gradient of one of q, k, v from position 600 on."""

    faulty = 0

    def kernel(self, implementation, shape, *, dtype, device):
        launch = super().kernel(implementation, shape, dtype=dtype, device=device)

        def kernel(*qkv):
            spoilt = [WrongGradient.apply(x.mT, 600).mT if index == self.faulty else x for index, x in enumerate(qkv)]
            return launch(*spoilt)

        return kernel


@pytest.mark.parametrize(("index", "name"), [(0, "q"), (1, "k"), (2, "v")])
def test_attentions_gradients_are_compared_at_length(index, name):
    operator = FaultyFlash({})
    operator.faulty = index
    assert verify(operator, point("flash", "sdpa"), CPU, "").passed
    core = verify_at_length(operator, point("flash", "sdpa", length=700), CPU, "")
    assert red(core) == {f"gradient of {name}"}
    layer = verify_at_length(operator, point("flash", "sdpa", Scope.LAYER, length=700), CPU, "")
    assert {"gradient of x", "gradient of in_weight"} <= red(layer)


def test_a_layer_without_spot_checks_is_compared_with_another_implementation(two_ways):
    two_ways.sloppiness = 1e-3
    check = verify_at_length(two_ways, point("two", "sloppy", Scope.LAYER, dtype=DType.BFLOAT16), CPU, "")
    assert check.method == "two:fft in float32"
    assert check.passed
    two_ways.sloppiness = 1e-1
    assert "output" in red(verify_at_length(two_ways, point("two", "sloppy", Scope.LAYER), CPU, ""))


def test_the_plain_implementation_is_not_red_for_the_fault_of_another(two_ways):
    two_ways.sloppiness = 1e-1
    check = verify_at_length(two_ways, point("two", "fft", Scope.LAYER), CPU, "")
    assert check.passed
    assert check.method == "finite and causal only: nothing to compare it with runs here"


def test_where_nothing_can_be_compared_the_method_says_so(monkeypatch):
    entry = OperatorEntry(target="", implementations=("fft",), family="toy", exponent=1.0, paper="none")
    monkeypatch.setitem(OPERATORS, "alone", entry)
    check = verify_at_length(Warped(), point("alone", "fft", Scope.LAYER), CPU, "")
    assert check.method == "finite and causal only: nothing to compare it with runs here"
    assert check.passed
    poisoned = Warped(forward=lambda y: y / 0)
    assert "output" in red(verify_at_length(poisoned, point("alone", "fft", Scope.LAYER), CPU, ""))
