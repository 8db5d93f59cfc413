import math

import pytest
import torch

from hyenaprof.model import Shape
from hyenaprof.operators.base import seeded
from hyenaprof.operators.implicit_filter import ImplicitFilter, positional_features

CPU = torch.device("cpu")


def made(*, orders=1, length=21, width=6, window=True, depth=4):
    settings = ImplicitFilter(orders=orders, embedding=5, frequency=14.0, width=7, depth=depth, window=window)
    shape = Shape(batch=1, length=length, width=width, heads=1)
    parameters = settings.parameters(shape, seeded(0))
    doubled = type(parameters)(*(tensor.double() for tensor in parameters))
    return settings, doubled, settings.maker(shape, dtype=torch.float64, device=CPU)


@pytest.mark.parametrize("orders", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 2, 21])
@pytest.mark.parametrize("window", [True, False])
@pytest.mark.parametrize("depth", [2, 4])
def test_the_taps_equal_their_definition(orders, length, window, depth):
    settings, parameters, make = made(orders=orders, length=length, window=window, depth=depth)
    taps = make(*parameters)
    assert taps.shape == (orders, 6, length)
    assert torch.allclose(taps, settings.definition(length, 6, *parameters), rtol=0, atol=1e-13)


def test_outputs_are_laid_out_order_by_order():
    _, parameters, make = made(orders=2)
    only_second = parameters._replace(last_weight_CW=torch.cat([torch.zeros(6, 7), torch.ones(6, 7)]).double())
    taps = make(*only_second)
    assert not taps[0].any()
    assert taps[1].any()


def test_the_window_falls_to_one_percent_as_the_authors_code_does():
    _, parameters, make = made(length=101)
    _, _, flat = made(length=101, window=False)
    window = (make(*parameters) / flat(*parameters))[0]
    places = torch.linspace(0, 1, 101, dtype=torch.float64)
    slow, fast = math.log(100) / 1.5, math.log(100) / 0.3
    assert torch.allclose(window[0], torch.exp(-slow * places))
    assert torch.allclose(window[-1], torch.exp(-fast * places))
    assert window[-1, 30] == pytest.approx(0.01)
    assert torch.allclose(window[1].log()[1:] / places[1:], torch.tensor(-(slow + (fast - slow) / 5)).double())


def test_features_are_place_cosines_and_minus_sines():
    features = positional_features(8, 7).double()
    t = torch.arange(8, dtype=torch.float64)
    assert torch.allclose(features[:, 0], t / 7)
    for column, band in enumerate((1e-4, (1e-4 + 2) / 2, 2.0)):
        phase = 2 * math.pi * t * band / 8
        assert torch.allclose(features[:, 1 + column], torch.cos(phase), atol=1e-6)
        assert torch.allclose(features[:, 4 + column], -torch.sin(phase), atol=1e-6)


def test_frequencies_start_where_the_option_says_and_are_one_vector():
    _, parameters, _ = made()
    assert torch.equal(parameters.frequency_W, torch.full((7,), 14.0).double())


def test_counts_by_hand():
    settings = ImplicitFilter(orders=1, embedding=3, frequency=1.0, width=2, depth=2, window=True)
    shape = Shape(batch=3, length=8, width=4, heads=1)
    # EW + W + W + WD + EL; 2L(EW + WD), one layer of sines, LD exponentials; backward doubles the products
    assert settings.parameter_count(shape) == 6 + 2 + 2 + 8 + 24
    assert settings.flops(shape) == (2 * 8 * 14 + 16 + 32, 4 * 8 * 14 + 16 + 32)
    deep = ImplicitFilter(orders=2, embedding=3, frequency=1.0, width=2, depth=4, window=False)
    assert deep.parameter_count(shape) == 6 + 2 + 2 * (4 + 2) + 2 + 2 * 8 + 24
    assert deep.flops(shape)[0] == 2 * 8 * (6 + 2 * 4 + 16) + 3 * 16
