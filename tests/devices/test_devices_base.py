from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from hyenaprof.devices import DEVICES, cpu
from hyenaprof.devices.base import Device, resolve
from hyenaprof.devices.cpu import CPU
from hyenaprof.errors import DeviceError, Unsupported
from hyenaprof.model import DType, Phase, Point, Scope, Shape


@pytest.mark.skipif(torch.cuda.is_available(), reason="auto is cuda here")
def test_auto_is_the_cpu_where_there_is_no_gpu():
    assert isinstance(resolve("auto"), CPU)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("gpu", "no device kind 'gpu'", "did you mean 'cpu'?"),
        ("cpu:1", "no device cpu:1", "there is one device of kind cpu"),
        ("cuda:x", "device index 'x' is not a whole number", "write cuda:0"),
        ("cuda:-1", "device index '-1' is not a whole number", "write cuda:0"),
    ],
)
def test_a_device_that_is_not_there_is_one_sentence_and_a_hint(text, message, hint):
    with pytest.raises(DeviceError) as caught:
        resolve(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_an_absent_gpu_says_why():
    with pytest.raises(DeviceError) as caught:
        resolve("cuda:1")
    assert caught.value.message == "no device cuda:1"
    built = "this torch was built without CUDA"
    assert caught.value.hint == built if torch.version.cuda is None else "nvidia-smi" in caught.value.hint


def test_every_kind_in_the_table_can_be_imported_without_its_hardware():
    code = "".join(f"from {target.replace(':', ' import ')} as D; print(D.kind)\n" for target in DEVICES.values())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [*DEVICES]


@pytest.fixture(params=["cpu", "fake"])
def device(request) -> Device:
    return resolve(request.param)


def test_a_timer_reads_one_span_a_step(device):
    timer = device.timer()
    for _ in range(3):
        timer.start()
        timer.stop()
    spans = timer.spans()
    assert len(spans.device_s) == 3
    assert all(0 <= span < 0.01 for span in spans.device_s)


def test_facts_hold_text_numbers_and_flags_only(device):
    assert device.describe()
    assert all(isinstance(v, str | int | bool | tuple | None) for v in device.describe().values())


def test_there_is_memory_to_be_had(device):
    assert device.available_bytes() > 0


def test_a_shape_is_made_no_bigger_than_asked(device):
    made = device.materialise(Shape(batch=3, length=101, width=96, heads=4))
    assert (made.batch, made.length, made.width) <= (3, 101, 96)
    assert made.head_dimension == 24


def test_a_device_without_graphs_says_so(device):
    with pytest.raises(Unsupported, match="has no graphs"):
        device.capture(())


def test_the_cpu_counts_its_own_preemptions_upwards():
    cpu = CPU()
    assert 0 <= cpu.preemptions() <= cpu.preemptions()


def test_the_cpus_load_counts_this_process_among_everybody():
    cpu = CPU()
    before = cpu.load()
    sum(i * i for i in range(300_000))
    after = cpu.load()
    assert after.cpu_s > before.cpu_s
    assert after.busy_s is None or after.busy_s >= before.busy_s


@pytest.mark.parametrize(
    ("flags", "dtype", "slow"),
    [
        (("avx2", "avx512_bf16"), DType.BFLOAT16, False),
        (("avx2", "avx512_bf16"), DType.FLOAT16, True),
        (("avx2",), DType.BFLOAT16, True),
        (("asimd", "asimdhp"), DType.FLOAT16, False),
        (("avx2",), DType.FLOAT32, False),
    ],
)
def test_the_cpu_warns_of_a_16_bit_type_that_it_has_no_instructions_for(monkeypatch, flags, dtype, slow):
    monkeypatch.setattr(cpu, "vector_flags", lambda: flags)
    point = Point(
        operator="flash",
        implementation="sdpa",
        scope=Scope.LAYER,
        phase=Phase.TRAINING,
        shape=Shape(batch=1, length=64, width=64, heads=1),
        dtype=dtype,
        device="cpu",
    )
    assert [caution.startswith("slow type: ") for caution in CPU().cautions(point)] == [True] * slow
