"""What every operator in the table promises; a new line in it is tested without a new test."""

import itertools

import pytest
import torch
from operator_cases import ALIKE, CASES, IMPLEMENTATIONS, sizes_of
from torch.profiler import ProfilerActivity, profile

from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.operators import OPERATORS
from hyenaprof.operators.base import TORCH_DTYPES, fields_of, load
from hyenaprof.worker.verify import verify

CPU = torch.device("cpu")
SHAPE = Shape(batch=2, length=21, width=8, heads=2)
BOTH = [(name, scope) for name in OPERATORS for scope in (Scope.CORE, Scope.LAYER)]
BOUNDED = [
    (name, option)
    for name, entry in OPERATORS.items()
    for option in entry.bounds
    if name not in ALIKE or option != "short_taps"
]
PHASES = (Phase.FORWARD, Phase.BACKWARD, Phase.TRAINING)


def made(name, scope, *, dtype=DType.FLOAT32, seed=0, shape=SHAPE):
    return load(name, {}).inputs(shape, scope, dtype=dtype, device=CPU, seed=seed)


def built(name, implementation, shape, scope):
    try:
        return load(name, {}).build(implementation, shape, scope, dtype=DType.FLOAT32, device=CPU)
    except Unsupported as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(("name", "scope"), BOTH)
def test_inputs_are_named_finite_leaves_that_want_gradients(name, scope):
    inputs = made(name, scope)
    assert len(set(fields_of(inputs))) == len(inputs)
    for tensor in inputs:
        assert tensor.is_leaf
        assert tensor.isfinite().all()
        assert tensor.requires_grad or not tensor.numel()


@pytest.mark.parametrize(("name", "scope"), BOTH)
def test_equal_seeds_give_equal_tensors_and_others_do_not(name, scope):
    first, again, other = (made(name, scope, seed=seed) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize(("name", "scope"), BOTH)
@pytest.mark.parametrize("dtype", [DType.FLOAT64, DType.BFLOAT16, DType.FLOAT16])
def test_another_dtype_has_the_same_values_rounded(name, scope, dtype):
    wanted = {TORCH_DTYPES[dtype], torch.float32}
    for plain, other in zip(made(name, scope), made(name, scope, dtype=dtype), strict=True):
        assert other.dtype in wanted
        assert torch.equal(plain.to(other.dtype), other)


@pytest.mark.parametrize(("name", "scope"), BOTH)
def test_the_length_lies_where_the_operator_says(name, scope):
    operator, inputs = load(name, {}), made(name, scope)
    axes = operator.causal_axes(scope)
    assert all(inputs[index].shape[axis] == SHAPE.length for index, axis in enumerate(axes.inputs))
    double = [tensor.detach().double() for tensor in inputs]
    assert operator.reference(scope, *double).shape[axes.output] == SHAPE.length


@pytest.mark.parametrize(
    ("name", "implementation", "scope", "batch", "length", "threads"),
    [(*case, *size) for case in CASES for size in sizes_of(case[0])],
)
def test_every_implementation_is_its_definition(name, implementation, scope, batch, length, threads):  # noqa: PLR0917 -- one a dimension
    torch.set_num_threads(threads)
    point = Point(
        operator=name,
        implementation=implementation,
        scope=scope,
        phase=Phase.FORWARD,
        shape=Shape(batch=batch, length=length, width=16, heads=2),
        dtype=DType.FLOAT32,
        device="cpu",
    )
    try:
        check = verify(load(name, {}), point, CPU, "here")
    except Unsupported as reason:
        pytest.skip(str(reason))
    assert check.passed, check.worst
    quantities = {entry.quantity for entry in check.entries}
    learned = sum(tensor.requires_grad for tensor in made(name, scope, shape=point.shape))
    if load(name, {}).differentiable(implementation):
        assert len([quantity for quantity in quantities if quantity.startswith("gradient of ")]) == learned
    assert "output" in quantities
    assert length == 1 or f"causality at {length - 1}" in quantities


@pytest.mark.parametrize(("name", "implementation"), IMPLEMENTATIONS)
@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
@pytest.mark.parametrize("phase", PHASES)
def test_cost_is_positive_and_grows_with_the_length(name, implementation, scope, phase):
    operator = load(name, {})
    costs = [
        operator.cost(implementation, SHAPE.at(length), scope, phase=phase, dtype=DType.FLOAT32)
        for length in (16, 33, 64, 257, 4096)
    ]
    for shorter, longer in itertools.pairwise(costs):
        assert 0 < shorter.flops < longer.flops
        assert 0 < shorter.bytes < longer.bytes
        assert 0 < shorter.need_bytes < longer.need_bytes
    assert all(cost.source for cost in costs)


@pytest.mark.parametrize(("name", "implementation"), IMPLEMENTATIONS)
@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
def test_training_costs_a_forward_and_a_backward(name, implementation, scope):
    operator = load(name, {})
    forward, backward, training = (
        operator.cost(implementation, SHAPE, scope, phase=phase, dtype=DType.FLOAT32) for phase in PHASES
    )
    assert training.flops == forward.flops + backward.flops
    assert training.bytes == forward.bytes + backward.bytes


@pytest.mark.parametrize("name", OPERATORS)
def test_the_cost_counts_the_parameters_that_there_are(name):
    operator, implementation = load(name, {}), OPERATORS[name].implementations[0]
    cost = operator.cost(implementation, SHAPE, Scope.LAYER, phase=Phase.FORWARD, dtype=DType.FLOAT32)
    assert cost.parameters == sum(tensor.numel() for tensor in made(name, Scope.LAYER)[1:])
    core = operator.cost(implementation, SHAPE, Scope.CORE, phase=Phase.FORWARD, dtype=DType.FLOAT32)
    assert core.parameters == 0


@pytest.mark.parametrize(("name", "implementation"), IMPLEMENTATIONS)
def test_the_ops_that_an_implementation_names_are_those_dispatched(name, implementation):
    wanted = load(name, {}).expected_ops(implementation, "cpu")
    launch = built(name, implementation, SHAPE, Scope.LAYER)
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as seen:
        launch(*made(name, Scope.LAYER))
    assert set(wanted) <= {event.key for event in seen.key_averages()}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_implementation_that_is_not_there_is_unsupported(name):
    with pytest.raises(Unsupported, match="no implementation 'nonesuch'"):
        load(name, {}).build("nonesuch", SHAPE, Scope.CORE, dtype=DType.FLOAT32, device=CPU)


@pytest.mark.parametrize(("name", "option"), BOUNDED)
def test_what_an_options_bounds_admit_can_be_built_and_gives_numbers(name, option):
    bounds, default = OPERATORS[name].bounds[option], OPERATORS[name].options[option]
    assert bounds.holds(default)
    for end in (bounds.least, bounds.most):
        operator = load(name, {option: type(default)(end)})
        inputs = operator.inputs(SHAPE, Scope.LAYER, dtype=DType.FLOAT32, device=CPU, seed=0)
        launch = operator.build(OPERATORS[name].implementations[0], SHAPE, Scope.LAYER, dtype=DType.FLOAT32, device=CPU)
        assert launch(*inputs).isfinite().all()


@pytest.mark.parametrize("name", OPERATORS)
def test_the_tables_scopes_are_the_classs(name):
    assert OPERATORS[name].scopes == tuple(map(str, load(name, {}).scopes))
