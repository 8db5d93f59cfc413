import math

import pytest
import torch

from hyenaprof.model import Shape
from hyenaprof.operators import OPERATORS
from hyenaprof.operators.base import load, seeded
from hyenaprof.operators.explicit_taps import ExplicitTaps
from hyenaprof.operators.fno import FourierTaps
from hyenaprof.operators.hyena_li import ModalTaps
from hyenaprof.operators.long_convolution import FilterVariant
from hyenaprof.operators.longconv import SquashedTaps
from hyenaprof.operators.rtf import TransferTaps, folded
from hyenaprof.operators.sgconv import StretchedTaps

CPU = torch.device("cpu")
VARIANTS = [name for name in OPERATORS if isinstance(load(name, {}), FilterVariant)]


def shape_of(length, width=5):
    return Shape(batch=1, length=length, width=width, heads=1)


def made(maker, length, width=5):
    """A maker's parameters in float64, and its taps of them."""
    shape = shape_of(length, width)
    parameters = maker.parameters(shape, seeded(0))
    doubled = type(parameters)(*(tensor.double() for tensor in parameters))
    return doubled, maker.maker(shape, dtype=torch.float64, device=CPU)


def test_the_family_has_nine_filters():
    assert sorted(VARIANTS) == [
        "ckconv",
        "conv1d",
        "fno",
        "hyena-li",
        "hyena-mr",
        "hyena-se",
        "longconv",
        "rtf",
        "sgconv",
    ]


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("length", [1, 2, 7, 63, 128, 333])
def test_the_taps_equal_their_definition(name, length):
    maker = load(name, {}).tap_maker
    parameters, make = made(maker, length)
    taps = make(*parameters)
    assert taps.shape == (1, 5, maker.taps(length))
    assert torch.allclose(taps, maker.definition(length, 5, *parameters), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", VARIANTS)
def test_taps_made_a_few_channels_at_a_time_are_the_same(name):
    maker = load(name, {}).tap_maker
    parameters, make = made(maker, 21, width=18)
    some = maker.in_groups(shape_of(21, 18), dtype=torch.float64, device=CPU)(*parameters)
    whole = make(*parameters)
    for channels in (slice(0, 5), slice(15, 18)):
        assert torch.allclose(some(channels), whole[:, channels], rtol=0, atol=1e-15)


def test_modes_in_closed_form_are_what_their_recurrence_gives():
    maker = ModalTaps(states=3)
    parameters, make = made(maker, 100)
    poles = torch.exp(-torch.exp(parameters.pole_DN) * torch.exp(parameters.gamma_DN))
    closed = [(parameters.residue_DN * poles**t).sum(1) for t in range(100)]
    assert torch.allclose(make(*parameters)[0], torch.stack(closed, 1), rtol=0, atol=1e-14)
    assert torch.allclose(maker.definition(100, 5, *parameters)[0], torch.stack(closed, 1), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("length", "states"), [(40, 3), (41, 3), (6, 9), (1, 4)])
def test_a_transfer_function_is_its_folded_impulse_response(length, states):
    parameters, make = made(TransferTaps(states=states), length)
    a, b, through = parameters
    response = torch.zeros(5, 600, dtype=torch.float64)
    for t in range(600):
        response[:, t] = b[:, t - 1] if 1 <= t <= states else 0
        for n in range(1, min(t, states) + 1):
            response[:, t] -= a[:, n - 1] * response[:, t - n]
    response[:, 0] += through
    expected = folded(response, length + length % 2)[:, :length]
    assert torch.allclose(make(*parameters)[0], expected, rtol=0, atol=1e-12)


def test_one_mode_of_a_spectrum_is_a_cosine():
    _, make = made(FourierTaps(modes=4), 12)
    real, imag = torch.zeros(1, 4).double(), torch.zeros(1, 4).double()
    real[0, 3], imag[0, 2] = 6.0, 6.0
    t = torch.arange(12).double() * (2 * math.pi / 12)
    assert torch.allclose(make(real, imag)[0, 0], torch.cos(3 * t) - torch.sin(2 * t))


def test_modes_above_half_the_length_are_not_used():
    parameters, make = made(FourierTaps(modes=9), 8)
    moved = [tensor.clone().index_fill_(1, torch.tensor([5, 6, 7, 8]), 7.0) for tensor in parameters]
    assert torch.equal(make(*parameters), make(*moved))


def test_pieces_double_in_length_and_halve_in_weight():
    maker = StretchedTaps(values=2)
    _, make = made(maker, 16, width=1)
    assert maker.pieces(16) == 4
    assert [maker.pieces(length) for length in (1, 2, 3, 4, 5)] == [1, 1, 2, 2, 3]
    ones = torch.ones(1, 4, 2).double()
    assert make(ones)[0, 0].tolist() == [8.0] * 2 + [4.0] * 2 + [2.0] * 4 + [1.0] * 8
    ramp = torch.tensor([[[0.0, 0], [0, 0], [0, 0], [0, 8]]]).double()
    assert make(ramp)[0, 0, 8:].tolist() == [0.0, 0, 1, 3, 5, 7, 8, 8]


def test_a_stretched_filter_starts_with_norm_one():
    parameters, make = made(StretchedTaps(values=4), 32)
    assert torch.allclose(make(*parameters)[0].norm(dim=1), torch.ones(5).double(), atol=1e-6)


def test_small_taps_are_squashed_to_zero_and_others_lose_the_threshold():
    _, make = made(SquashedTaps(threshold=0.5), 4, width=1)
    taps = make(torch.tensor([[0.4, -0.5, 0.75, -2.0]]).double())
    assert taps.tolist() == [[[0.0, 0.0, 0.25, -1.5]]]


def test_channels_of_a_group_share_a_filter_and_later_groups_decay_faster():
    maker = ExplicitTaps(most_taps=11, group=2, decaying=True)
    _, make = made(maker, 20, width=5)
    taps = make(torch.ones(3, 11).double())[0]
    assert torch.equal(taps[0], taps[1])
    assert torch.allclose(taps[[0, 2, 4], -1].log(), torch.tensor([-1.0, -10.0, -100.0]).double())
    assert taps[:, 0].tolist() == [1.0] * 5


def test_counts_by_hand():
    shape = shape_of(16, width=4)
    assert [load(name, {}).tap_maker.parameter_count(shape) for name in ("ckconv", "conv1d", "fno", "rtf")] == [
        32 + 32 + 32 * 32 + 32 + 4 * 32 + 4,
        4 * 64,
        2 * 4 * 64,
        2 * 4 * 64 + 4,
    ]
    assert [load(name, {}).tap_maker.parameter_count(shape) for name in ("hyena-se", "hyena-mr", "hyena-li")] == [
        7,
        128,
        3 * 4 * 16,
    ]
    assert ModalTaps(states=3).flops(shape) == (2 * 4 * 16 * 3, 4 * 4 * 16 * 3)
    assert FourierTaps(modes=3).flops(shape)[0] == 2.5 * 4 * 16 * 4
    assert load("longconv", {}).tap_maker.flops(shape) == (64, 64)
