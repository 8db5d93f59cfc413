import math

import pytest
import torch

from hyenaprof.errors import OperatorError
from hyenaprof.model import DType, Phase, Scope, Shape
from hyenaprof.operators.base import load, seeded
from hyenaprof.operators.chunked_convolution import chunked_convolution
from hyenaprof.operators.legendre import discrete, legs
from hyenaprof.operators.s4 import LowRankTaps
from hyenaprof.operators.s4d import DiagonalTaps
from hyenaprof.operators.state_space import defined_convolution

CPU = torch.device("cpu")


def made(maker, length, width=3):
    shape = Shape(batch=1, length=length, width=width, heads=1)
    parameters = maker.parameters(shape, seeded(0))
    doubled = type(parameters)(*(tensor.double() for tensor in parameters))
    return doubled, maker.maker(shape, dtype=torch.float64, device=CPU)


@pytest.mark.parametrize("maker", [DiagonalTaps(states=64), LowRankTaps(states=64)])
@pytest.mark.parametrize("length", [1, 2, 7, 63, 128, 333])
def test_the_taps_equal_their_definition(maker, length):
    parameters, make = made(maker, length)
    expected = maker.definition(length, 3, *parameters)
    assert torch.allclose(make(*parameters), expected, rtol=0, atol=1e-9 * float(expected.abs().max()))


def test_a_diagonal_state_space_as_a_convolution_and_as_a_recurrence():
    """x_t = exp(dt A) x_{t-1} + (exp(dt A) - 1) / A u_t, y_t = 2 Re C x_t, states and all."""
    parameters, make = made(DiagonalTaps(states=6), 50)
    u = torch.randn(2, 3, 50, generator=seeded(1)).double()
    step = parameters.log_step_D.exp()[:, None]
    values = torch.complex(-parameters.log_decay_DN.exp(), parameters.angle_DN)
    output = torch.complex(parameters.output_real_DN, parameters.output_imag_DN)
    state, y = torch.zeros(2, 3, 3, dtype=torch.complex128), []
    for t in range(50):
        state = torch.exp(step * values) * state + (torch.exp(step * values) - 1) / values * u[:, :, t, None]
        y.append(2 * (output * state).sum(-1).real)
    convolved = defined_convolution(u, make(*parameters)[0], torch.zeros(3).double())
    assert torch.allclose(convolved, torch.stack(y, -1), rtol=0, atol=1e-12)


def test_a_low_rank_kernel_is_that_of_the_legendre_state_space_it_was_made_of():
    """C A^t B in real numbers, in the basis of the polynomials: no eigenvalue, no pair, no generating function."""
    length, generator = 45, seeded(0)
    parameters, make = made(LowRankTaps(states=8), length)
    log_step = torch.rand(3, generator=generator) * math.log(100) + math.log(0.001)
    row = torch.randn(3, 8, generator=generator).double()
    assert torch.allclose(parameters.log_step_D, log_step.double())
    transition, entry, _ = legs(8)
    step = log_step.double().exp()
    first = torch.linalg.solve(torch.eye(8) - step[:, None, None] / 2 * transition, step[:, None] * entry)
    taps = []
    for _ in range(length):
        taps.append((row * first).sum(1))
        row = (row[:, None] @ discrete(transition, step))[:, 0]
    expected = torch.stack(taps, 1)
    assert torch.allclose(make(*parameters)[0], expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_the_legendre_transition_is_lower_triangular_and_normal_but_for_one_rank():
    transition, entry, rank = legs(4)
    assert transition[1, 0] == pytest.approx(-math.sqrt(3))
    assert transition.diagonal().tolist() == [-1, -2, -3, -4]
    assert not transition.triu(1).any()
    skew = transition + torch.outer(rank, rank) + torch.eye(4) / 2
    assert torch.allclose(skew, -skew.T)
    assert torch.allclose(entry**2, torch.tensor([1.0, 3, 5, 7]).double())


@pytest.mark.parametrize(("length", "taps"), [(1, 1), (37, 37), (61, 5)])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_convolution_in_chunks_is_its_definition_in_values_and_gradients(length, taps, batch):
    generator = seeded(length)
    u, k, skip = (
        torch.randn(*sizes, generator=generator, dtype=torch.float64, requires_grad=True)
        for sizes in [(batch, length, 6), (6, taps), (6,)]
    )
    dy = torch.randn(batch, 6, length, generator=generator, dtype=torch.float64)
    got, expected = chunked_convolution(u.mT, k, skip), defined_convolution(u.mT, k, skip)
    assert torch.allclose(got, expected, rtol=0, atol=1e-12)
    with torch.no_grad():
        assert torch.equal(chunked_convolution(u.mT, k, skip), got)
    gradients = torch.autograd.grad(got, (u, k, skip), dy)
    for mine, theirs in zip(gradients, torch.autograd.grad(expected, (u, k, skip), dy), strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("implementation", ["fft", "chunked"])
def test_h3_by_hand(implementation):
    """One channel: keys (1, 2, 3) shifted by one, times values (1, 1, 2), summed up, times queries (1, 10, 100)."""
    shape = Shape(batch=1, length=3, width=1, heads=1)
    core = load("h3", {"shift_states": 2}).build(implementation, shape, Scope.CORE, dtype=DType.FLOAT64, device=CPU)
    z = torch.tensor([[[1.0, 10, 100], [1, 2, 3], [1, 1, 2]]]).double()
    shift, ones, zero = torch.tensor([[0.0, 1]]).double(), torch.ones(1, 3).double(), torch.zeros(1).double()
    # shifted keys [0, 1, 2], gated [0, 1, 4], summed [0, 1, 5]; with a skip of 2, [0, 3, 13]
    assert torch.allclose(core(z, shift, ones, zero, zero), torch.tensor([[[0.0, 10, 500]]]).double())
    assert torch.allclose(core(z, shift, ones, zero, zero + 2), torch.tensor([[[0.0, 30, 1300]]]).double())


@pytest.mark.parametrize("name", ["s4", "s4d", "h3"])
def test_an_odd_number_of_states_is_refused(name):
    with pytest.raises(OperatorError, match="states=7 is odd"):
        load(name, {"states": 7})


def test_parameters_and_products_by_hand():
    shape = Shape(batch=2, length=8, width=4, heads=1)

    def cost(name, scope=Scope.LAYER):
        return load(name, {}).cost("fft", shape, scope, phase=Phase.FORWARD, dtype=DType.FLOAT32)

    glu = 2 * 4 * 4 + 2 * 4
    assert cost("s4d").parameters == glu + 4 + 4 * (1 + 128)
    assert cost("s4").parameters == glu + 4 + 4 * (1 + 64) + 3 * 64
    assert cost("h3").parameters == 4 * (16 + 4) + 2 * 4 + 4 * 64 + 4 * (1 + 128)
    transforms = 4 * (5 * 2.5 * 16 * 4 + 6 * 2 * 9)  # D [(2B + 1) 2.5 n log2 n + 6 B (n/2 + 1)], n = 2 L
    assert cost("s4d", Scope.CORE).flops == transforms + 10 * 64
    assert cost("s4d").flops == transforms + 10 * 64 + 4 * 64 * 4 + 4 * 64 + 2 * 4 * 8 * 64
    assert cost("h3", Scope.CORE).flops == 2 * transforms + 6 * 64
    assert cost("s4d", Scope.CORE).bytes == 4 * (2 * 64 + 32)
