"""Operators of somebody's package: a product with a matrix, and the ways in which such code fails.

Faults are real: memory runs out at a limit, a call into C never returns, the process aborts.
"""

# ruff: noqa: ARG001, ARG002, T201 -- an operator's interface has arguments that a toy does not need; some toys print
from __future__ import annotations

import ctypes
import os
import resource
import socket
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from hyenaprof.errors import Unsupported
from hyenaprof.model import Cost
from hyenaprof.operators.base import TORCH_DTYPES, Operator, SpotCheck, leaf, normal, of_phase, seeded

print("frail is being imported")

MIB = 2**20
ENDLESS_FLOPS = 1e18
MORE_THAN_ANY_MACHINE_BYTES = 2.0**60


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
        expected = {"x_BLD": dy @ weight.mT, "weight_DD": torch.einsum("blc,bld->cd", x, dy)}
        for name, gradient in gradients.items():
            yield SpotCheck(
                f"gradient of {name.partition('_')[0]}", gradient, expected[name], self.cancels(scope, name)
            )


class Frail(Linear):
    """The same product, by implementations that fail: `by_length` in another way at each length."""

    def build(self, implementation, shape, scope, *, dtype, device):
        at_length = BY_LENGTH.get(implementation, {})
        if implementation == "absent" or at_length.get(shape.length) == "absent":
            raise Unsupported(f"libfrail 2.0 was built without kernels for {shape.length} positions")
        if implementation == "late_gradient":
            return late_gradient if shape.length > LATE else torch.matmul
        if implementation == "by_length" and shape.length > LATE_OUTPUT:
            return late_output
        return FAULTS.get(at_length.get(shape.length, implementation), torch.matmul)

    def cost(self, implementation, shape, scope, *, phase, dtype):
        honest = super().cost(implementation, shape, scope, phase=phase, dtype=dtype)
        fault = BY_LENGTH.get(implementation, {}).get(shape.length)
        said = {"endless": {"flops": ENDLESS_FLOPS}, "needs": {"need_bytes": MORE_THAN_ANY_MACHINE_BYTES}}
        return honest.model_copy(update=said.get(fault, {}))


def prints(x, weight):
    """Writes where the pipe to the parent was, from Python, from C, and past both."""
    print("python says hello")
    ctypes.CDLL(None).puts(b"c says hello")
    ctypes.CDLL(None).fflush(None)
    os.write(1, b"a descriptor says hello\n")
    return x @ weight


def raises(x, weight):
    """Raises, naming a file and the machine."""
    raise ValueError(f"{socket.gethostname()} has no {Path.home()}/secret/table.bin")


def aborts(x, weight):
    """Ends the process from C, after a last word."""
    sys.stderr.write(f"frail: {socket.gethostname()} cannot read {Path(__file__).resolve()}\n")
    sys.stderr.flush()
    os.abort()


def hangs(x, weight):
    """Calls into C and never comes back; no other thread of Python runs meanwhile."""
    ctypes.PyDLL(None).pause()


def poisons(x, weight):
    """Right but for one value, which is no number."""
    y = x @ weight
    return torch.where(torch.arange(y.numel()).view_as(y) == y.numel() // 2, torch.nan, y)


def leaks(x, weight):
    """Keeps every result."""
    KEPT.append(x @ weight)
    return KEPT[-1]


def remembers(x, weight):
    """Does the work once and then hands the same result out, where nobody asks for gradients."""
    if torch.is_grad_enabled():
        return x @ weight
    if not (REMEMBERED and REMEMBERED[0] is x):
        REMEMBERED[:] = [x, x @ weight]
    return REMEMBERED[1]


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


KEPT = []
REMEMBERED = []
LATE = 32768
LATE_OUTPUT = 4096
FAULTS = {f.__name__: f for f in (prints, raises, aborts, hangs, poisons, leaks, remembers, exhausts)}
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
    "hungry": {512: "exhausts", 2048: "needs"},
}
