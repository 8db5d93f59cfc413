"""Causal attention kernels that never write their scores to memory: torch's, each pinned, and those of packages.

Each is a function of q, k and v [B, H, L, K]. The packages want [B, L, H, K], which is the same memory read by other
strides: neither core nor layer copies anything for it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import attention as torch_attention
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from hyenaprof.errors import Unsupported
from hyenaprof.operators.packages import (
    PackageRefused,
    function_of,
    refuse_all_but_cuda,
    refuse_what_it_refuses,
)

Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]

BACKENDS = {
    "sdpa": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}
"""Backends of torch's scaled_dot_product_attention by implementation."""

PACKAGES = {"fa2": "flash_attn", "fa3": "flash_attn_interface", "fa4": "flash_attn.cute"}
"""Modules that hold a `flash_attn_func` by implementation: FlashAttention 2, 3 and 4, called directly."""

ACTIVATED = {"sdpa-fa3": "FA3", "sdpa-fa4": "FA4"}
"""What torch calls the same kernels where it dispatches to them in place of its own flash backend."""

DISPATCHED = {
    "sdpa": ("aten::_scaled_dot_product_flash_attention",),
    "cudnn": ("aten::_scaled_dot_product_cudnn_attention",),
    "efficient": ("aten::_scaled_dot_product_efficient_attention",),
    # torch registers FlashAttention 3 as the op below; FlashAttention 4 is Python and passes through no op of its own.
    "sdpa-fa3": ("aten::_scaled_dot_product_flash_attention", "flash_attn_3::fwd"),
    "sdpa-fa4": ("aten::_scaled_dot_product_flash_attention",),
}
"""Ops that the profiler must see where torch chooses what runs. A package's function is called and chooses nothing."""

TRIED_LENGTH = 128
"""Long enough for every kernel's tiles; a refusal does not depend on the length."""


def flash_kernel(implementation: str, head_dimension: int, *, dtype: torch.dtype, device: torch.device) -> Kernel:
    """Gives one of BACKENDS, PACKAGES or ACTIVATED, tried on a small problem.

    Raises:
        Unsupported: It does not run this head dimension and dtype on this device, in its own words.
    """
    if implementation in BACKENDS:
        kernel = pinned(BACKENDS[implementation])
    else:
        refuse_all_but_cuda(implementation, device)
        kernel = (
            activated(ACTIVATED[implementation])
            if implementation in ACTIVATED
            else from_package(PACKAGES[implementation])
        )
    try_on_zeros(kernel, head_dimension, dtype=dtype, device=device)
    return kernel


def pinned(backend: SDPBackend) -> Kernel:
    """The scaled_dot_product_attention of torch by one backend and no other.

    Never with a mask: the causal flag alone is right beyond 65536 positions.
    """

    def attend(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
        if _active() is not None:
            torch_attention.restore_flash_attention_impl()
        with sdpa_kernel(backend):
            return functional.scaled_dot_product_attention(q_BHLK, k_BHLK, v_BHLK, is_causal=True)

    return attend


def activated(name: str) -> Kernel:
    """The scaled_dot_product_attention of torch with its flash backend replaced by `FA3` or `FA4`.

    The replacement holds for the whole process, so each call makes sure of it; `pinned` takes it back.

    Raises:
        Unsupported: This torch has no such thing, or does not know the name.
        PackageRefused: torch cannot import the package, or finds no kernels in it.
    """
    if not hasattr(torch_attention, "activate_flash_attention_impl"):
        raise Unsupported(f"torch {torch.__version__} has no activate_flash_attention_impl")
    try:
        torch_attention.activate_flash_attention_impl(name)
    except ValueError as error:
        raise Unsupported(str(error)) from error
    except (
        ImportError,
        OSError,
        RuntimeError,
        AttributeError,
    ) as error:  # as in `packages`: absent, or found and broken
        raise PackageRefused(f"torch cannot activate {name}: {error}") from error

    def attend(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
        if _active() != name:
            torch_attention.activate_flash_attention_impl(name)
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return functional.scaled_dot_product_attention(q_BHLK, k_BHLK, v_BHLK, is_causal=True)

    return attend


def _active() -> str | None:
    """What torch's flash backend is replaced by now; a torch that cannot replace it has no such function."""
    current: Callable[[], str | None] | None = getattr(torch_attention, "current_flash_attention_impl", None)
    return current() if current is not None else None


def from_package(module: str) -> Kernel:
    """The `flash_attn_func` of a package, between views.

    Raises:
        PackageRefused: The package is absent or broken.
    """
    function = function_of(module, "flash_attn_func")

    def attend(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
        given = function(q_BHLK.transpose(1, 2), k_BHLK.transpose(1, 2), v_BHLK.transpose(1, 2), causal=True)
        # FlashAttention 4, and 3 until its interface settled, give the log-sum-exp beside the output.
        y_BLHK: Tensor = given[0] if isinstance(given, tuple) else given
        return y_BLHK.transpose(1, 2)

    return attend


def try_on_zeros(kernel: Kernel, head_dimension: int, *, dtype: torch.dtype, device: torch.device) -> None:
    """Calls a kernel on one head of zeros.

    Raises:
        Unsupported: It refused.
    """
    q_BHLK = torch.zeros(1, 1, TRIED_LENGTH, head_dimension, dtype=dtype, device=device, requires_grad=True)
    refuse_what_it_refuses(lambda: kernel(q_BHLK, q_BHLK, q_BHLK))
