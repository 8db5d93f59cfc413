"""Our operators beside public code for the same thing: flash-linear-attention, as far as it is plain PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPARED = Path(sys.prefix) / "compared"
"""Where `make test-extra` installs it: importable in a process that asks for it, and in no other."""

SCRIPT = """
import json, warnings

warnings.simplefilter("ignore")
import torch
from fla.modules.long_conv import LongConvolution
from fla.ops.attn.naive import naive_parallel_attn

from hyenaprof.model import DType, Phase, Point, Scope, Shape
from hyenaprof.operators.base import load
from hyenaprof.operators.convolution import long_convolution
from hyenaprof.worker.verify import verify

torch.manual_seed(0)
errors = {}

def compare(name, ours, theirs, *inputs):
    got, expected = ours(*inputs), theirs(*inputs)
    dy = torch.randn_like(expected)
    pairs = [(got, expected), *zip(torch.autograd.grad(got, inputs, dy), torch.autograd.grad(expected, inputs, dy))]
    errors[name] = [float((a - b).abs().max()) / (float(b.abs().max()) or 1.0) for a, b in pairs]

def their_convolution(x_BLD, taps_DL):
    module = LongConvolution(x_BLD.shape[-1], x_BLD.shape[1])
    return torch.func.functional_call(module, {"filter": taps_DL}, (x_BLD,))

def our_convolution(x_BLD, taps_DL):  # theirs adds the input
    return long_convolution(x_BLD.mT, taps_DL).mT + x_BLD

for length in (1, 63, 130):
    shape = Shape(batch=2, length=length, width=16, heads=2)
    x = torch.randn(2, length, 16, dtype=torch.float64, requires_grad=True)
    taps = torch.randn(16, length, dtype=torch.float64, requires_grad=True)
    compare(f"convolution {length}", our_convolution, their_convolution, x, taps)

    qkv = [torch.randn(2, 2, length, 8, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    built = {"dtype": DType.FLOAT64, "device": torch.device("cpu")}
    for name, implementation in (("flash", "sdpa"), ("attention", "math")):
        ours = load(name, {}).build(implementation, shape, Scope.CORE, **built)
        theirs = lambda *qkv: naive_parallel_attn(*(t.transpose(1, 2) for t in qkv))[0].transpose(1, 2)
        compare(f"{name} {length}", ours, theirs, *qkv)

    point = Point(operator="hyena", implementation="fla", scope=Scope.LAYER, phase=Phase.TRAINING, shape=shape,
                  dtype=DType.FLOAT64, device="cpu")
    check = verify(load("hyena", {}), point, torch.device("cpu"), "")
    errors[f"hyena:fla {length}"] = [entry.error for entry in check.entries]
print(json.dumps(errors))
"""


@pytest.mark.extra
def test_convolution_attention_and_a_hyena_layer_are_what_flash_linear_attention_computes_with_gradients():
    if not (COMPARED / "fla").is_dir():
        pytest.skip("fla-core is not there; `make test-extra` installs it")
    path = os.pathsep.join((str(ROOT), str(COMPARED)))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    errors = json.loads(done.stdout.splitlines()[-1])
    assert len(errors) == 4 * 3
    assert {name: found for name, found in errors.items() if not all(error <= 1e-11 for error in found)} == {}
