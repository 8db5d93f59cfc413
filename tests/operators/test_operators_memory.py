"""The need that decides `oom (inferred)` against the allocations that the profiler saw."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from hyenaprof.errors import Unsupported
from hyenaprof.model import DType, Phase, Scope, Shape
from hyenaprof.operators import OPERATORS
from hyenaprof.operators.base import load

IMPLEMENTATIONS = [(name, made) for name, entry in OPERATORS.items() for made in entry.implementations]


def peak_bytes(run):
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    held = peak = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


@pytest.mark.parametrize(("name", "implementation"), IMPLEMENTATIONS)
@pytest.mark.parametrize("scope", [Scope.CORE, Scope.LAYER])
@pytest.mark.parametrize(("batch", "length", "width"), [(1, 2048, 128), (4, 1000, 128)])
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
