"""The need that decides `oom (inferred)` against the allocations that the profiler saw."""

import pytest
import torch
from operator_cases import CASES
from torch.profiler import ProfilerActivity, profile

from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Phase, Shape
from hyenaprof.operators import OPERATORS
from hyenaprof.operators.base import load

SIZES = [(1, 2048, 128), (4, 1000, 128)]
"""(batch, length, width); all for those with several of each, one for the others."""


def sizes_of(name):
    return SIZES if OPERATORS[name].family == "attention" or name == "hyena" else SIZES[1:]


def peak_bytes(run):
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    held = peak = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


@pytest.mark.parametrize(
    ("name", "implementation", "scope", "batch", "length", "width"),
    [(*case, *size) for case in CASES for size in sizes_of(case[0])],
)
@pytest.mark.parametrize("phase", [Phase.FORWARD, Phase.TRAINING])
def test_need_is_what_a_call_takes_or_somewhat_more(name, implementation, scope, batch, length, width, phase):  # noqa: PLR0917 -- one a dimension
    torch.set_num_threads(1 if batch == 1 else 2)
    shape = Shape(batch=batch, length=length, width=width, heads=2)
    operator, device = load(name, {}), torch.device("cpu")
    try:
        launch = operator.build(implementation, shape, scope, dtype=DType.FLOAT32, device=device)
    except Unsupported as reason:
        pytest.skip(str(reason))
    inputs = operator.inputs(shape, scope, dtype=DType.FLOAT32, device=device, seed=0)
    with torch.no_grad():
        dy = torch.ones_like(launch(*inputs))

    def forward():
        with torch.no_grad():
            launch(*inputs)

    def training():
        torch.autograd.grad(launch(*inputs), [tensor for tensor in inputs if tensor.requires_grad], dy)

    held = sum(tensor.numel() * tensor.element_size() for tensor in inputs)
    taken = held + peak_bytes(forward) if phase is Phase.FORWARD else held + dy.numel() * 4 + peak_bytes(training)
    need = operator.cost(implementation, shape, scope, phase=phase, dtype=DType.FLOAT32).need_bytes
    assert 0.95 * taken <= need <= 1.3 * taken
