"""torch's flex_attention as causal attention: compiled, with a mask of blocks so that hidden blocks are skipped."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from hyenaprof.operators.attention_kernels import Kernel, try_on_zeros
from hyenaprof.operators.compilers import compiled_whole

BLOCK = 128
"""Positions in a block of the mask, flex_attention's own default."""


def flex_kernel(length: int, head_dimension: int, *, dtype: torch.dtype, device: torch.device) -> Kernel:
    """Gives flex_attention, compiled for one length; the compiler runs in the first call, which is a warm-up.

    Raises:
        Unsupported: It does not run here, in torch's own words: no backward pass on a CPU, or what the compiler says.
    """
    try_on_zeros(flex_attention, head_dimension, dtype=dtype, device=device)
    return compiled_flex(length, device)


def compiled_flex(length: int, device: torch.device) -> Kernel:
    """flex_attention compiled, with the causal mask of a length; each length is compiled, none runs as written."""
    mask = causal_blocks(length, device)
    compiled = compiled_whole(flex_attention, dynamic=False)

    def attend(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
        y_BHLK: Tensor = compiled(q_BHLK, k_BHLK, v_BHLK, block_mask=mask)
        return y_BHLK

    return attend


def causal_blocks(length: int, device: torch.device) -> BlockMask:
    """The causal mask in blocks, as create_block_mask makes it but without its L x L matrix: N x N of N = L / 128.

    A query block needs its own key block in part and those before it whole. A last block that the length cuts short
    needs all of its own in part.
    """
    blocks = -(-length // BLOCK)
    order_N = torch.arange(blocks, dtype=torch.int32, device=device)
    in_part_N, whole_N = torch.ones_like(order_N), order_N.clone()
    in_part_NN = (order_N[:, None] + order_N) % blocks
    whole_NN = order_N.repeat(blocks, 1)
    if length % BLOCK:
        in_part_N[-1], whole_N[-1] = blocks, 0
        in_part_NN[-1] = order_N
    return BlockMask.from_kv_blocks(
        in_part_N[None, None],
        in_part_NN[None, None],
        whole_N[None, None],
        whole_NN[None, None],
        BLOCK_SIZE=BLOCK,
        mask_mod=_causal,
        seq_lengths=(length, length),
    )


def _causal(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:  # noqa: ARG001 -- flex_attention's form
    return query >= key
