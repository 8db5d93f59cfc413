"""Operators with known cost and known faults, for the worker's tests; a worker loads them as `tests.worker.toys:Name`."""

# ruff: noqa: ARG002, T201 -- an operator's interface has arguments that a toy does not need, and one toy prints
from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import NamedTuple

import torch
from torch import Tensor

from hyenaprof.model import Cost, Phase, Scope
from hyenaprof.operators import OperatorEntry
from hyenaprof.operators.base import TORCH_DTYPES, Operator, leaf, normal, seeded
from hyenaprof.operators.packages import PackageRefused


class ScaleInputs(NamedTuple):
    x_BLD: Tensor
    weight_D: Tensor


class Scale(Operator):
    """y = x * weight: causal, one product forward and two backward."""

    entry = OperatorEntry(
        target="tests.worker.toys:Scale",
        implementations=("plain", "absent"),
        family="toy",
        exponent=1.0,
        paper="none",
        install={"absent": "pip install absent"},
    )

    def inputs(self, shape, scope, *, dtype, device, seed):
        generator = seeded(seed)
        x = normal(shape.batch, shape.length, shape.width, generator=generator)
        weight = normal(shape.width, generator=generator)
        return ScaleInputs(*(leaf(t, TORCH_DTYPES[dtype], device) for t in (x, weight)))

    def build(self, implementation, shape, scope, *, dtype, device):
        if implementation == "absent":
            raise PackageRefused("the library absent is not installed")
        return self.call

    def call(self, x, weight):
        return x * weight

    def reference(self, scope, *inputs):
        x, weight = inputs
        return x * weight

    def cost(self, implementation, shape, scope, *, phase, dtype):
        elements = shape.batch * shape.length * shape.width
        factor = {Phase.FORWARD: 1, Phase.BACKWARD: 2}.get(phase, 3)
        size = dtype.itemsize_bytes
        return Cost(
            flops=factor * elements,
            bytes=2 * factor * elements * size,
            parameters=shape.width if scope is Scope.LAYER else 0,
            need_bytes=(factor + 1) * elements * size + shape.width * size,
            source="one product a channel",
        )


class Printing(Scale):
    """Prints on stdout, from Python and from C."""

    def call(self, x, weight):
        print("python says hello")
        sys.stdout.flush()
        ctypes.CDLL(None).puts(b"c says hello")
        ctypes.CDLL(None).fflush(None)
        os.write(1, b"a descriptor says hello\n")
        return x * weight


class Greedy(Scale):
    """Asks for more memory than any machine has."""

    def call(self, x, weight):
        return torch.empty(2**46, dtype=torch.uint8) + x


class Broken(Scale):
    """Raises, naming a path."""

    def call(self, x, weight):
        raise ValueError("cannot open /somewhere/secret/table.bin")


class Aborting(Scale):
    """Takes the process down."""

    def call(self, x, weight):
        os.abort()


class Sleeping(Scale):
    """Takes a known time, and counts its calls."""

    entry = OperatorEntry(
        target="tests.worker.toys:Sleeping",
        implementations=("plain",),
        family="toy",
        exponent=0.0,
        paper="none",
        options={"seconds": 0.001},
    )
    calls = 0

    def call(self, x, weight):
        type(self).calls += 1
        time.sleep(self.options["seconds"])
        return x * weight
