from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hyenaprof.environment import allocator_in_use, worker_environment

FAULTS = """
import resource, torch
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def call():
    return torch.ones(16 * 1024**2) + 1  # two tensors of 64 MiB, 16384 pages each
for _ in range(20):  # tensors are aligned, so the heap still grows by a few of them before it fits
    call()
before = faults()
for _ in range(10):
    call()
print(faults() - before)
"""


def faults_of_ten_calls(allocator):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    environment |= worker_environment(allocator, 1)
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is Linux's")
def test_on_a_warm_heap_calls_fault_no_page_in_and_on_the_default_one_they_always_do():
    assert faults_of_ten_calls("warm") < 100
    assert faults_of_ten_calls("default") > 10 * 16384


def test_threads_are_told_to_openmp_and_mkl():
    variables = worker_environment("warm", 3)
    assert (variables["OMP_NUM_THREADS"], variables["MKL_NUM_THREADS"]) == ("3", "3")


def test_torchs_compiler_is_told_to_make_no_processes_whoever_calls_it(monkeypatch):
    from torch._inductor import config

    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "7")
    assert config.decide_compile_threads() == 7, "what torch reads when it is imported"
    for name, value in worker_environment("default", None).items():
        monkeypatch.setenv(name, value)
    assert config.decide_compile_threads() == 1


def test_without_a_number_of_threads_the_libraries_choose():
    assert "OMP_NUM_THREADS" not in worker_environment("warm", None)


def test_the_default_allocator_is_left_alone():
    assert not [name for name in worker_environment("default", None) if name.startswith("MALLOC_")]


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "default"),
        (worker_environment("warm", None), "warm"),
        ({"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_MAX_": "0"}, "custom"),
        (worker_environment("warm", None) | {"LD_PRELOAD": "libjemalloc.so"}, "custom"),
    ],
)
def test_the_allocator_in_use_is_told_by_the_environment(monkeypatch, variables, name):
    for variable in [*os.environ]:
        if variable.startswith("MALLOC_") or variable == "LD_PRELOAD":
            monkeypatch.delenv(variable)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert allocator_in_use() == name
