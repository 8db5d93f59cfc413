from __future__ import annotations

import getpass
import socket

import pytest
from scripted_device import Scripted

from hyenaprof import scrub
from hyenaprof.devices.base import resolve
from hyenaprof.worker.fingerprint import Protocol, take_fingerprint

ONE_THREAD = Protocol(threads=1)


@pytest.fixture
def planted(monkeypatch):
    monkeypatch.setenv("HOME", "/home/grace-h")
    monkeypatch.setattr(getpass, "getuser", lambda: "grace-h")
    monkeypatch.setattr(socket, "gethostname", lambda: "mark-one.navy.example")
    scrub._names.cache_clear()
    yield
    scrub._names.cache_clear()


class Telltale(Scripted):
    """A device whose facts give everything away."""

    def describe(self):
        return {"cpu": "mark-one of grace-h", "notes": ("/home/grace-h/key", "mark-one.navy.example")}


@pytest.mark.usefixtures("planted")
def test_no_host_user_or_home_comes_through():
    text = take_fingerprint(Telltale([]), ONE_THREAD).model_dump_json()
    assert "grace" not in text
    assert "mark-one" not in text
    assert "/home" not in text


def test_the_id_is_the_same_twice():
    assert take_fingerprint(resolve("cpu"), ONE_THREAD).id == take_fingerprint(resolve("cpu"), ONE_THREAD).id


@pytest.mark.parametrize(
    "other", [Protocol(threads=2), Protocol(threads=1, cuda_graph=True), Protocol(threads=1, inputs="ones")]
)
def test_another_protocol_is_another_fingerprint(other):
    assert take_fingerprint(resolve("cpu"), ONE_THREAD).id != take_fingerprint(resolve("cpu"), other).id


def test_the_cache_is_part_of_the_protocol_where_it_is_flushed():
    cold, hot = Protocol(threads=1, cache="cold"), Protocol(threads=1, cache="hot")
    gpu = Scripted([], asynchronous=True)
    assert take_fingerprint(gpu, cold).protocol["cache"] == "cold"
    assert take_fingerprint(gpu, hot).protocol["cache"] == "hot"
    assert take_fingerprint(resolve("cpu"), cold).id == take_fingerprint(resolve("cpu"), hot).id


def test_the_allocator_is_part_of_the_protocol(monkeypatch):
    before = take_fingerprint(resolve("cpu"), ONE_THREAD)
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    after = take_fingerprint(resolve("cpu"), ONE_THREAD)
    assert after.protocol["allocator"] == "custom"
    assert before.id != after.id


def test_settings_of_libraries_are_recorded_with_their_values(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert "OMP_WAIT_POLICY=ACTIVE" in take_fingerprint(resolve("cpu"), ONE_THREAD).protocol["settings"]


def test_software_names_the_versions_that_decide_times():
    import torch

    software = take_fingerprint(resolve("cpu"), ONE_THREAD).software
    assert software["torch"] == torch.__version__
    assert {"python", "numpy", "triton", "blas", "cuda"} <= software.keys()


def test_machine_facts_hold_no_clock_that_was_measured():
    facts = take_fingerprint(resolve("cpu"), ONE_THREAD).machine
    assert not [name for name in facts if "mhz" in name or "clock" in name]
