import pytest
import torch

from hyenaprof.errors import OperatorError
from hyenaprof.operators.convolution import (
    block_convolution,
    block_positions,
    direct_long_convolution,
    direct_short_convolution,
    long_convolution,
    short_convolution,
    smooth_length,
)

LENGTHS = [1, 2, 3, 5, 13, 61, 64, 97, 128, 251, 256, 509, 1000, 1021]
"""Tiny, odd, prime and powers of two."""


def toeplitz(k_DL):
    """Filters as lower-triangular Toeplitz matrices, built by index alone."""
    length = k_DL.shape[-1]
    lag = torch.arange(length)[:, None] - torch.arange(length)
    return k_DL[:, lag.clamp(min=0)].masked_fill(lag < 0, 0)


def problem(length, dtype, batch=2, width=16):
    generator = torch.Generator().manual_seed(length)
    u = torch.randn(batch, width, length, generator=generator, dtype=torch.float64)
    k = torch.randn(width, length, generator=generator, dtype=torch.float64)
    dy = torch.randn(batch, width, length, generator=generator, dtype=torch.float64)
    return [tensor.to(dtype).requires_grad_() for tensor in (u, k)], dy.to(dtype)


def relative_error(got, expected):
    return float((got.detach().double() - expected.detach()).abs().max() / expected.detach().abs().max())


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_the_transform_equals_a_toeplitz_matrix_in_values_and_gradients(length, dtype, most):
    (u, k), dy = problem(length, dtype)
    y = long_convolution(u, k)
    exact = [tensor.detach().double().requires_grad_() for tensor in (u, k)]
    expected = torch.einsum("dts,bds->bdt", toeplitz(exact[1]), exact[0])
    assert y.dtype == dtype
    assert relative_error(y, expected) <= most
    gradients = torch.autograd.grad(y, (u, k), dy)
    for got, wanted in zip(gradients, torch.autograd.grad(expected, exact, dy.double()), strict=True):
        assert relative_error(got, wanted) <= most


@pytest.mark.parametrize("length", [1, 2, 3, 17, 64])
def test_the_definition_equals_a_toeplitz_matrix(length):
    (u, k), _ = problem(length, torch.float64)
    assert torch.allclose(direct_long_convolution(u, k), torch.einsum("dts,bds->bdt", toeplitz(k), u), atol=1e-13)


@pytest.mark.parametrize(("taps", "length"), [(1, 1), (3, 5), (7, 100), (16, 16), (17, 61), (64, 129)])
@pytest.mark.parametrize("convolve", [block_convolution, long_convolution])
def test_short_filters_equal_their_definition_in_values_and_gradients(convolve, taps, length):
    (u, k), dy = problem(length, torch.float64, width=3)
    short = k[:, :taps]
    y, expected = convolve(u, short), direct_long_convolution(u, short)
    assert relative_error(y, expected) <= 1e-14
    gradients = torch.autograd.grad(y, (u, k), dy)
    for got, wanted in zip(gradients, torch.autograd.grad(expected, (u, k), dy), strict=True):
        assert relative_error(got, wanted) <= 1e-14


def test_blocks_are_multiples_of_sixteen_that_hold_the_filter():
    assert [block_positions(taps) for taps in (1, 7, 16, 17, 64, 128)] == [16, 16, 16, 32, 64, 128]


def test_a_delta_shifts():
    u = torch.arange(1.0, 8.0)[None, None]
    k = torch.zeros(1, 7)
    k[0, 2] = 1
    assert torch.allclose(long_convolution(u, k), torch.tensor([[[0.0, 0, 1, 2, 3, 4, 5]]]), atol=1e-6)


@pytest.mark.parametrize(("dtype", "most"), [(torch.float16, 1e-3), (torch.bfloat16, 8e-3)])
@pytest.mark.parametrize("convolve", [block_convolution, long_convolution])
def test_sixteen_bits_are_rounded_once_and_no_more(convolve, dtype, most):
    (u, k), _ = problem(300, dtype)
    exact = torch.einsum("dts,bds->bdt", toeplitz(k.detach().double()), u.detach().double())
    y = convolve(u, k)
    assert y.dtype == dtype
    assert ((y.double() - exact).abs() <= most * exact.abs() + 1e-5 * exact.abs().max()).all()


def test_half_precision_does_not_overflow_in_the_spectrum():
    u = torch.ones(1, 1, 70000, dtype=torch.float16)
    k = torch.full((1, 70000), 1 / 70000)
    assert long_convolution(u, k)[0, 0, -1] == pytest.approx(1, abs=1e-3)


def test_filters_of_another_size_are_refused():
    with pytest.raises(OperatorError, match="do not fit"):
        long_convolution(torch.ones(1, 2, 8), torch.ones(2, 9))
    with pytest.raises(OperatorError, match="do not fit"):
        long_convolution(torch.ones(1, 2, 8), torch.ones(3, 8))


@pytest.mark.parametrize("taps", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [1, 2, 3, 9])
def test_the_short_convolution_equals_its_definition(taps, length):
    generator = torch.Generator().manual_seed(0)
    z, weight, bias = (
        torch.randn(*sizes, generator=generator, dtype=torch.float64) for sizes in [(2, 5, length), (5, taps), (5,)]
    )
    expected = torch.empty_like(z)
    for t in range(length):
        expected[..., t] = bias + sum(
            weight[:, j] * z[..., t - (taps - 1) + j] for j in range(taps) if t - (taps - 1) + j >= 0
        )
    assert torch.allclose(short_convolution(z, weight, bias), expected, atol=1e-13)
    assert torch.allclose(direct_short_convolution(z, weight, bias), expected, atol=1e-13)


def test_transform_lengths_are_the_least_even_products_of_two_three_and_five():
    assert [smooth_length(n) for n in (1, 2, 3, 7, 13, 2047, 2048, 2049, 32761)] == [
        2,
        2,
        4,
        8,
        16,
        2048,
        2048,
        2160,
        32768,
    ]
    for least in range(1, 400):
        length = smooth_length(least)
        assert length >= least
        assert length % 2 == 0
