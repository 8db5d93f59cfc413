"""Operators of somebody's package: a product with a matrix, and the ways in which such code fails.

Faults are real: memory runs out at a limit, a call into C never returns, the process aborts.
"""

# An operator's interface has arguments that a toy does not need, and one toy prints:
# ruff: noqa: ARG001, ARG002, ARG004, T201
from __future__ import annotations

import ctypes
import getpass
import os
import resource
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from hyenaprof.errors import Unsupported
from hyenaprof.model import Cost
from hyenaprof.operators.base import TORCH_DTYPES, Operator, SpotCheck, leaf, normal, of_phase, quantity_name, seeded

MIB = 2**20
LATE = 32768
"""Gradients of `late_gradient` are wrong in longer sequences."""
LATE_OUTPUT = 4096
"""Results of `by_length` are wrong in longer sequences."""
BY_LENGTH = {
    "by_length": {
        128: "prints",
        192: "absent",
        256: "raises",
        320: "aborts",
        384: "hangs",
        448: "poisons",
        640: "leaks",
        768: "endless",
        4096: "remembers",
    },
    "hungry": {512: "exhausts", 2048: "boundless"},
}

print("frail is being imported")


class LinearInputs(NamedTuple):
    x_BLD: Tensor
    weight_DD: Tensor


class Linear(Operator):
    """y = x W: causal, since no position sees another."""

    def inputs(self, shape, scope, *, dtype, device, seed):
        generator = seeded(seed)
        x = normal(shape.batch, shape.length, shape.width, generator=generator)
        weight = normal(shape.width, shape.width, generator=generator) / shape.width**0.5
        return LinearInputs(*(leaf(t, TORCH_DTYPES[dtype], device) for t in (x, weight)))

    def build(self, implementation, shape, scope, *, dtype, device):
        return torch.matmul

    def reference(self, scope, x_BLD, weight_DD):
        return x_BLD @ weight_DD

    def cost(self, implementation, shape, scope, *, phase, dtype):
        elements = shape.batch * shape.length * shape.width
        flops, moved = 2.0 * elements * shape.width, 2.0 * elements * dtype.itemsize_bytes
        return Cost(
            flops=of_phase(phase, forward=flops, backward=2 * flops),
            bytes=of_phase(phase, forward=moved, backward=2 * moved),
            need_bytes=4.0 * elements * dtype.itemsize_bytes,
            parameters=shape.width**2,
            source="one product of matrices forward, two backward",
        )

    def spot_checks(self, scope, inputs, *, output, cotangent, gradients, seed):
        x, weight = (tensor.detach().double() for tensor in inputs)
        dy = cotangent.double()
        yield SpotCheck("output", output, x @ weight)
        exact = {"x_BLD": dy @ weight.mT, "weight_DD": torch.einsum("blc,bld->cd", x, dy)}
        for name, found in gradients.items():
            yield SpotCheck(f"gradient of {quantity_name(name)}", found, exact[name], self.cancels(scope, name))


class Frail(Linear):
    """The same product, by implementations that fail: two of them in another way at each length."""

    def build(self, implementation, shape, scope, *, dtype, device):
        fault = _fault(implementation, shape.length)
        if fault == "absent":
            raise Unsupported(f"libfrail 2.0 has no kernel for {shape.length} positions")
        return FAULTS.get(fault, torch.matmul)

    def cost(self, implementation, shape, scope, *, phase, dtype):
        honest = super().cost(implementation, shape, scope, phase=phase, dtype=dtype)
        claims = {"endless": {"flops": 1e18}, "boundless": {"need_bytes": 2.0**60}}
        return honest.model_copy(update=claims.get(_fault(implementation, shape.length), {}))


def _fault(implementation, length):
    if implementation == "late_gradient" and length <= LATE:
        return None
    if implementation == "by_length" and length > LATE_OUTPUT:
        return "late_output"
    return BY_LENGTH[implementation].get(length) if implementation in BY_LENGTH else implementation


def prints(x, weight):
    """Writes where the pipe to the parent was, from Python, from C, and past both."""
    print("python says hello")
    sys.stdout.flush()
    ctypes.CDLL(None).puts(b"c says hello")
    ctypes.CDLL(None).fflush(None)
    os.write(1, b"a descriptor says hello\n")
    return x @ weight


def raises(x, weight):
    """Raises, naming a person and a file of theirs."""
    raise ValueError(f"{getpass.getuser()} has no {Path(__file__).resolve()}")


def aborts(x, weight):
    """Ends the process from C, after a last word."""
    sys.stderr.write(f"frail: {getpass.getuser()} cannot read {Path(__file__).resolve()}\n")
    sys.stderr.flush()
    os.abort()


def hangs(x, weight):
    """Calls into C and never comes back; no thread of Python runs meanwhile."""
    ctypes.PyDLL(None).pause()


def poisons(x, weight):
    """Right but for one value, which is no number."""
    y = x @ weight
    return torch.where(torch.arange(y.numel()).view_as(y) == y.numel() // 2, torch.nan, y)


_KEPT: list[Tensor] = []


def leaks(x, weight):
    """Keeps every result."""
    _KEPT.append(x @ weight)
    return _KEPT[-1]


_REMEMBERED: list[Tensor] = []


def remembers(x, weight):
    """Does the work once and then hands the same result out, where nobody asks for gradients."""
    if torch.is_grad_enabled():
        return x @ weight
    if not (_REMEMBERED and _REMEMBERED[0] is x):
        _REMEMBERED[:] = [x, x @ weight]
    return _REMEMBERED[1]


def exhausts(x, weight):
    """Takes more memory than the process may have."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used_bytes = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used_bytes + 64 * MIB, limits[1]))
    try:
        return torch.empty(512 * MIB, dtype=torch.uint8) + x
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def late_output(x, weight):
    """Wrong from a position on that short sequences do not reach."""
    y = x @ weight
    return torch.cat([y[:, :LATE_OUTPUT], 1.01 * y[:, LATE_OUTPUT:]], dim=1)


class _LateGradient(torch.autograd.Function):
    """The identity; its gradient is wrong from a position on."""

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, dx):
        return torch.cat([dx[:, :LATE], 1.01 * dx[:, LATE:]], dim=1)


def late_gradient(x, weight):
    """Right forward."""
    return _LateGradient.apply(x) @ weight


FAULTS = {
    fault.__name__: fault
    for fault in (prints, raises, aborts, hangs, poisons, leaks, remembers, exhausts, late_output, late_gradient)
}
