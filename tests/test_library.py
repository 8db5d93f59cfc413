from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest
import torch
from builders import CROSSOVER, make_check, make_cost, make_fingerprint, make_records, make_scenario

import hyenaprof
from hyenaprof.errors import JournalError, OperatorError
from hyenaprof.model import CostLine, CrossoverState, EndLine, HeaderLine
from hyenaprof.records.journal import NAME, Journal
from hyenaprof.records.store import begin_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of hyena and flash that cross at a known length in every phase."""
    path = tmp_path_factory.mktemp("library") / "mine"
    begin_folder(path, make_scenario())
    records = make_records()
    with Journal(path / NAME) as journal:
        journal.append([HeaderLine(hyenaprof="0.1.0", fingerprint=make_fingerprint(), started_at=0.0)])
        for record in records:
            journal.append([make_check(record.point), CostLine(point=record.point, cost=make_cost(record.point))])
            journal.append([record.memory, *record.visits])
        journal.append([EndLine(complete=True, reason="nothing is left to measure", elapsed_s=1.0)])
    return path


def test_what_is_public_is_these_four_names():
    assert sorted(hyenaprof.__all__) == ["LoadedRun", "Measurement", "load", "measure"]
    assert all(callable(getattr(hyenaprof, name)) for name in hyenaprof.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        hyenaprof.lod  # noqa: B018 -- the access is what is tested


def test_importing_the_package_loads_nothing_and_reading_a_run_no_torch(folder):
    script = (
        "import sys, hyenaprof\n"
        "assert not {'torch', 'numpy', 'pandas', 'pydantic'} & set(sys.modules)\n"
        f"run = hyenaprof.load({str(folder)!r})\n"
        "run.crossovers(), run.to_pandas()\n"
        "assert 'torch' not in sys.modules\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("kind", [str, os.fspath, lambda path: path])
def test_a_run_is_loaded_by_its_folder(folder, kind):
    records = hyenaprof.load(kind(folder)).records
    assert len(records) == 2 * 4 * 3
    assert {len(record.visits) for record in records} == {6}


def test_a_folder_that_is_no_run_is_said(tmp_path):
    with pytest.raises(JournalError, match="no run in") as caught:
        hyenaprof.load(tmp_path)
    assert caught.value.hint


def test_crossovers_are_recomputed_from_the_samples(folder):
    found = hyenaprof.load(folder).crossovers()
    assert [str(crossover.challenger.phase) for crossover in found] == ["backward", "forward", "training"]
    for crossover in found:
        assert crossover.state is CrossoverState.RESOLVED
        assert (crossover.challenger.operator, crossover.incumbent.operator) == ("hyena", "flash")
        assert crossover.flips[0].length == pytest.approx(CROSSOVER, rel=0.05)


def test_a_frame_holds_one_row_a_point_in_base_units(folder):
    run = hyenaprof.load(folder)
    frame = run.to_pandas()
    assert len(frame) == len(run.records)
    row = frame[(frame.operator == "flash") & (frame.phase == "training") & (frame.length == 8192)].iloc[0]
    assert row.median_s == pytest.approx(3 * 2e-3 * (8192 / CROSSOVER) ** 2, rel=0.03)
    assert row.low_s < row.median_s < row.high_s
    assert (row.outcome, row.visits, row.samples) == ("ok", 6, 60)
    (memory,) = {
        r.memory.peak_bytes
        for r in run.records
        if r.point.label == "flash:sdpa"
        and r.memory.point == r.point
        and (r.point.phase, r.point.shape.length) == ("training", 8192)
    }
    assert row.peak_memory_bytes == memory
    assert row.flops == 1e6 * 8192


def test_a_callable_is_timed_and_its_interval_holds_its_median():
    x, calls = torch.ones(64, 64), []

    def fn(x):
        calls.append(x.shape)
        return x @ x

    measured = hyenaprof.measure(fn, x, precision=0.2)
    assert 10 <= len(measured.samples_s) < len(calls) <= 1000, "every sample was a call, and the warm-up some more"
    assert 0 < min(measured.samples_s) <= measured.low_s <= measured.median_s <= measured.high_s
    assert measured.median_s < 0.1


def test_twenty_times_the_work_takes_longer():
    x = torch.ones(256, 256)

    def often(x):
        for _ in range(20):
            y = x @ x
        return y

    once_s = hyenaprof.measure(lambda x: x @ x, x, precision=0.1, cache="hot").median_s
    assert hyenaprof.measure(often, x, precision=0.1, cache="hot").median_s > 5 * once_s


def test_training_runs_the_backward_pass_and_leaves_no_gradient_behind():
    passes = []

    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(_ctx, x):
            passes.append("forward")
            return 2 * x

        @staticmethod
        def backward(_ctx, dy):
            passes.append("backward")
            return 2 * dy

    x = torch.ones(8, requires_grad=True)
    measured = hyenaprof.measure(Twice.apply, x, training=True, precision=0.5)
    assert passes.count("backward") >= len(measured.samples_s)
    assert passes[-2:] == ["forward", "backward"]
    assert x.grad is None

    passes.clear()
    hyenaprof.measure(Twice.apply, x, precision=0.5)
    assert set(passes) == {"forward"}


def test_a_measurement_reads_as_a_median_with_its_interval():
    measured = hyenaprof.Measurement((1.84e-3, 1.82e-3, 1.86e-3), 1.82e-3, 1.86e-3, ())
    assert str(measured) == "1.84 ms [1.82 ms, 1.86 ms], 3 samples"
    assert math.isclose(measured.median_s, 1.84e-3)


@pytest.mark.parametrize(
    ("inputs", "named", "said"),
    [
        ((), {}, "no input to tell the device by"),
        ((torch.ones(2),), {"training": True}, "no input wants a gradient"),
        ((torch.ones(2),), {"precision": 0.0}, "precision=0.0"),
        ((torch.ones(2),), {"cache": "luke"}, "cache='luke'"),
    ],
)
def test_a_request_that_makes_no_sense_is_one_sentence(inputs, named, said):
    with pytest.raises(OperatorError, match=said) as caught:
        hyenaprof.measure(lambda *tensors: tensors[0], *inputs, **named)
    assert caught.value.hint


def test_what_the_callable_raises_is_the_callers():
    with pytest.raises(ZeroDivisionError):
        hyenaprof.measure(lambda _: 1 / 0, torch.ones(2))
