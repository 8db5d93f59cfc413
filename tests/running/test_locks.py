from __future__ import annotations

import tempfile

import pytest

from hyenaprof.errors import DeviceError
from hyenaprof.running.locks import DeviceLock


@pytest.fixture(autouse=True)
def _own_lock(tmp_path, monkeypatch):
    """No test waits for a sweep that happens to run on this machine."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize(("first", "second"), [("cpu", "cpu"), ("cuda", "cuda:1"), ("auto", "cpu"), ("cpu", "cuda")])
def test_one_timing_at_a_time(first, second):
    lock = DeviceLock(first)
    with pytest.raises(DeviceError, match="another hyenaprof is timing on this machine") as caught:
        DeviceLock(second)
    assert caught.value.exit_code == 3
    lock.release()
    DeviceLock(second).release()


def test_a_lock_let_go_twice_is_let_go():
    lock = DeviceLock("cpu")
    lock.release()
    lock.release()
    again = DeviceLock("cpu")
    with pytest.raises(DeviceError, match="another hyenaprof is timing"):
        DeviceLock("cpu")
    again.release()


def test_the_fake_device_waits_for_nobody(tmp_path):
    held = DeviceLock("cpu")
    DeviceLock("fake").release()
    DeviceLock("fake:1").release()
    held.release()
    assert len(list(tmp_path.iterdir())) == 1
