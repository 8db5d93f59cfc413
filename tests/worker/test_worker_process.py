from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_device import Scripted

from hyenaprof.model import Outcome
from hyenaprof.pipe import Refusal, Reply
from hyenaprof.worker.__main__ import settle
from hyenaprof.worker.session import Session

ROOT = Path(__file__).parents[2]
HELLO = '{"id":1,"body":{"verb":"hello","device":"fake","threads":1}}\n'

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="dying with the parent is Linux's")


def started():
    worker = subprocess.Popen(
        [sys.executable, "-m", "hyenaprof.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    worker.stdin.write(HELLO)
    worker.stdin.flush()
    assert '"device_kind":"fake"' in worker.stdout.readline()
    return worker


def test_a_worker_ends_when_its_pipe_closes():
    worker = started()
    worker.stdin.close()
    assert worker.wait(timeout=30) == 0
    worker.stdout.close()


def test_ctrl_c_is_left_to_the_parent_and_the_first_to_go_when_memory_runs_out_is_the_worker():
    worker = started()
    worker.send_signal(signal.SIGINT)
    worker.stdin.write(HELLO)
    worker.stdin.flush()
    assert '"device_kind":"fake"' in worker.stdout.readline()
    assert Path(f"/proc/{worker.pid}/oom_score_adj").read_text() == "1000\n"
    worker.communicate(timeout=30)


PARENT = """
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-m", "hyenaprof.worker"], stdin=int(sys.argv[1]), stdout=subprocess.PIPE)
worker.stdout.readline()
print(worker.pid, flush=True)
time.sleep(600)
"""


def test_a_worker_dies_with_its_parent_though_its_pipe_is_still_open():
    reading, writing = os.pipe()
    os.write(writing, HELLO.encode())
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(reading)], stdout=subprocess.PIPE, text=True, cwd=ROOT, pass_fds=(reading,)
    )
    worker = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate(timeout=30)
    assert select.select([worker], [], [], 10)[0], "the worker outlived its parent by ten seconds"
    for descriptor in (reading, writing, worker):
        os.close(descriptor)


class Broken(Scripted):
    """A device that nothing can be done with any more, not even giving memory back."""

    def usable(self):
        return False

    def release(self):
        raise RuntimeError("an illegal memory access was encountered")


def test_a_worker_whose_device_is_broken_says_that_this_reply_is_its_last():
    refused = Reply(id=1, refusal=Refusal(outcome=Outcome.CRASHED, reason="an illegal memory access"))
    assert settle(Session(device=Broken([])), refused).last
    assert not settle(Session(device=Scripted([])), refused).last
