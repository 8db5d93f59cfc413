from functools import partial

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException
from torch.nn import functional
from torch.nn.attention.flex_attention import create_block_mask

from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Scope, Shape
from hyenaprof.operators.attention_flex import BLOCK, causal_blocks, compiled_flex
from hyenaprof.operators.base import load

CPU = torch.device("cpu")
LENGTHS = [1, 2, 100, 127, 128, 129, 256, 300, 383, 384, 1025]


def ordered(counts, indices):
    """Which key blocks each query block needs."""
    return [set(row[:count].tolist()) for count, row in zip(counts[0, 0], indices[0, 0], strict=True)]


@pytest.mark.parametrize("length", LENGTHS)
def test_the_blocks_are_those_that_torch_finds_in_the_whole_matrix(length):
    ours = causal_blocks(length, CPU)
    theirs = create_block_mask(lambda b, h, q, k: q >= k, None, None, length, length, device="cpu", BLOCK_SIZE=BLOCK)  # noqa: ARG005 -- torch's form
    assert ours.seq_lengths == theirs.seq_lengths
    assert torch.equal(ours.to_dense(), theirs.to_dense())
    for count, index in (
        ("kv_num_blocks", "kv_indices"),
        ("full_kv_num_blocks", "full_kv_indices"),
        ("q_num_blocks", "q_indices"),
        ("full_q_num_blocks", "full_q_indices"),
    ):
        assert ordered(getattr(ours, count), getattr(ours, index)) == ordered(
            getattr(theirs, count), getattr(theirs, index)
        )


@pytest.mark.parametrize("length", [21, 128, 300])
@pytest.mark.parametrize("head_dimension", [64, 128])
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_with_this_mask_is_causal_attention(monkeypatch, length, head_dimension):
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)  # a compiler takes 10 s and says no more
    q, k, v = (torch.randn(2, 2, length, head_dimension) for _ in range(3))
    expected = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert torch.allclose(compiled_flex(length, CPU)(q, k, v), expected, atol=1e-5)


def test_on_a_cpu_it_is_unsupported_in_torchs_words():
    shape = Shape(batch=1, length=9, width=8, heads=2)
    with pytest.raises(Unsupported, match=r"^FlexAttention does not support backward on CPU"):
        load("flash", {}).build("flex", shape, Scope.LAYER, dtype=DType.FLOAT32, device=CPU)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TorchDynamoException("\n  no C++ compiler found\nmore"), "torch.compile refuses: no C++ compiler found"),
        (NotImplementedError("NYI: embedding dimension"), "torch.compile refuses: NYI: embedding dimension"),
        (NotImplementedError(), "torch.compile refuses: NotImplementedError"),
    ],
)
def test_what_the_compiler_refuses_is_unsupported_in_its_words(monkeypatch, error, said):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torch, "compile", lambda *_, **__: fail)
    q = torch.randn(1, 1, 5, 8)
    with pytest.raises(Unsupported) as caught:
        compiled_flex(5, CPU)(q, q, q)
    assert str(caught.value) == said


def test_ten_lengths_in_one_process_are_each_compiled(monkeypatch):
    """Past torch's own limit of 8 the function would run as written, and be timed as if it were compiled."""
    graphs = []

    def count(graph, _):
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=count))
    for length in range(16, 26):
        q = torch.randn(1, 1, length, 16)
        compiled_flex(length, CPU)(q, q, q)
    assert len(graphs) == 10


def test_its_compiler_makes_no_processes_of_its_own():
    from torch._inductor import config

    with config.patch(compile_threads=4):
        compiled_flex(5, CPU)
        assert config.compile_threads == 1
