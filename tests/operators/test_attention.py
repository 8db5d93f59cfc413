import math

import pytest
import torch

from hyenaprof.model import DType, Phase, Scope, Shape
from hyenaprof.operators.attention import attention_definition
from hyenaprof.operators.base import load

CPU = torch.device("cpu")


def test_the_definition_by_hand():
    q = torch.tensor([[[[1.0, 0.0], [0.0, 2.0]]]], dtype=torch.float64)
    k = torch.tensor([[[[3.0, 0.0], [0.0, 1.0]]]], dtype=torch.float64)
    v = torch.tensor([[[[1.0, 10.0], [2.0, 20.0]]]], dtype=torch.float64)
    y = attention_definition(q, k, v)
    second = 1 / (1 + math.exp(-2 / math.sqrt(2)))  # scores 0 and 2 / sqrt(2)
    assert torch.allclose(y[0, 0, 0], v[0, 0, 0])
    assert torch.allclose(y[0, 0, 1], (1 - second) * v[0, 0, 0] + second * v[0, 0, 1])


def test_heads_do_not_mix():
    operator, shape = load("flash", {}), Shape(batch=1, length=9, width=8, heads=2)
    core = operator.build("sdpa", shape, Scope.CORE, dtype=DType.FLOAT32, device=CPU)
    q, k, v = operator.inputs(shape, Scope.CORE, dtype=DType.FLOAT32, device=CPU, seed=0)
    before = core(q, k, v)
    changed = v.detach().clone()
    changed[:, 1] += 1
    after = core(q, k, changed)
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1], after[:, 1])


@pytest.mark.parametrize(
    ("implementation", "device", "ops"),
    [
        ("sdpa", "cpu", ("aten::_scaled_dot_product_flash_attention_for_cpu",)),
        ("sdpa", "cuda", ("aten::_scaled_dot_product_flash_attention",)),
        ("cudnn", "cuda", ("aten::_scaled_dot_product_cudnn_attention",)),
        ("efficient", "cuda", ("aten::_scaled_dot_product_efficient_attention",)),
        ("sdpa-fa3", "cuda", ("aten::_scaled_dot_product_flash_attention", "flash_attn_3::fwd")),
        ("sdpa-fa4", "cuda", ("aten::_scaled_dot_product_flash_attention",)),
        ("fa2", "cuda", ()),
    ],
)
def test_flash_names_the_op_that_the_profiler_must_see(implementation, device, ops):
    assert load("flash", {}).expected_ops(implementation, device) == ops
    assert load("attention", {}).expected_ops("math", device) == ()


def test_flash_flops_and_bytes_by_hand():
    operator, shape = load("flash", {}), Shape(batch=2, length=4, width=8, heads=2)

    def cost(scope, phase):
        return operator.cost("sdpa", shape, scope, phase=phase, dtype=DType.FLOAT32)

    assert cost(Scope.CORE, Phase.FORWARD).flops == 2 * 2 * 16 * 8
    assert cost(Scope.CORE, Phase.BACKWARD).flops == 5 * 2 * 16 * 8
    assert cost(Scope.CORE, Phase.TRAINING).flops_paper == 7 * 2 * 16 * 8
    assert cost(Scope.CORE, Phase.FORWARD).bytes == 4 * 256 + 4 * 2 * 2 * 4
    assert cost(Scope.CORE, Phase.BACKWARD).bytes == 8 * 256 + 4 * 2 * 2 * 4
    layer = cost(Scope.LAYER, Phase.FORWARD)
    assert layer.flops == 512 + 2 * 4 * 2 * 4 * 64
    assert layer.bytes == 1088 + 4 * (6 * 64 + 4 * 8 * 9)
    assert layer.parameters == 4 * 64 + 4 * 8


def test_standard_attention_computes_what_the_mask_hides():
    operator, shape = load("attention", {}), Shape(batch=2, length=4, width=8, heads=2)

    def cost(phase):
        return operator.cost("math", shape, Scope.CORE, phase=phase, dtype=DType.FLOAT32)

    scores = 2 * 2 * 16
    assert cost(Phase.FORWARD).flops == 4 * 2 * 16 * 8 + 5 * scores
    assert cost(Phase.BACKWARD).flops == 8 * 2 * 16 * 8 + 5 * scores
    assert cost(Phase.FORWARD).bytes == 4 * 256 + 4 * scores * 4


def test_standard_attention_at_16k_needs_its_score_matrices():
    shape = Shape(batch=1, length=16384, width=768, heads=12)
    operator, gib = load("attention", {}), 2**30

    def need(phase):
        return operator.cost("math", shape, Scope.LAYER, phase=phase, dtype=DType.FLOAT32).need_bytes

    assert 24 * gib < need(Phase.FORWARD) < 25 * gib
    assert 36 * gib < need(Phase.TRAINING) < 37 * gib
