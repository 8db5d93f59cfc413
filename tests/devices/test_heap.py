from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import pytest

from hyenaprof.environment import worker_environment

SCRIPT = """
import resource, sys, torch
from hyenaprof.devices.heap import populate_heap, trim_heap
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def resident_pages():
    return int(open("/proc/self/statm").read().split()[1])
torch.ones(1000) + 1
before = faults()
if sys.argv[1] == "populate":
    populate_heap(128 * 1024**2)
populating = faults() - before
start = faults()
kept = torch.ones(16 * 1024**2)  # 64 MiB, 16384 pages
call = faults() - start
del kept
full = resident_pages()
trim_heap()
print(populating, call, full - resident_pages())
"""


@cache
def counts(mode):
    environment = os.environ | worker_environment("warm", 1)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, mode], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return [int(word) for word in done.stdout.split()]


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is Linux's")


def test_the_first_call_on_a_populated_heap_faults_nothing_in():
    _, call, _ = counts("populate")
    assert call < 500


def test_the_first_call_on_an_empty_heap_faults_every_page_in():
    populating, call, _ = counts("nothing")
    assert populating < 100
    assert call > 16000


def test_trimming_hands_the_freed_pages_back():
    _, _, freed = counts("populate")
    assert freed > 0.9 * 128 * 1024**2 / 4096
