import torch

from hyenaprof.model import DType, Scope, Shape
from hyenaprof.operators.base import load, seeded
from hyenaprof.operators.projections import (
    layer_tensors,
    linear,
    projection_bytes,
    projection_flops,
    projection_parameters,
)

SHAPE = Shape(batch=2, length=5, width=8, heads=2)


def test_hyena_and_attention_have_the_same_input_and_projections():
    def given(name):
        return load(name, {}).inputs(SHAPE, Scope.LAYER, dtype=DType.FLOAT32, device=torch.device("cpu"), seed=3)

    hyena, flash, standard = given("hyena"), given("flash"), given("attention")
    for ours, theirs, plain in zip(hyena[:5], flash, standard, strict=True):
        assert torch.equal(ours.flatten(), theirs.flatten())
        assert torch.equal(theirs, plain)


def test_projections_are_initialised_as_linear_layers_are():
    weight, bias = linear(200, 16, seeded(0))
    assert weight.shape == (200, 16)
    assert bias.shape == (200,)
    for values in (weight, bias):
        assert 0.24 < values.abs().max() <= 0.25  # 1 / sqrt(16)
        assert abs(values.mean()) < 0.04
    assert abs(weight.std() - 0.25 / 3**0.5) < 0.005


def test_x_is_standard_normal():
    x = layer_tensors(Shape(batch=4, length=100, width=32, heads=1), 3, seeded(1)).x_BLD
    assert abs(x.mean()) < 0.03
    assert abs(x.std() - 1) < 0.03


def test_projection_counts_by_hand():
    assert projection_flops(SHAPE, 3) == 2 * 4 * 2 * 5 * 64
    assert projection_bytes(SHAPE, 3, 2) == (6 * 80 + 4 * 8 * 9) * 2
    assert projection_parameters(8, 3) == 3 * 64 + 3 * 8 + 64 + 8
