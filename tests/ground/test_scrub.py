from __future__ import annotations

import getpass
import socket

import pytest

from hyenaprof import scrub as module
from hyenaprof.scrub import scrub


@pytest.fixture(autouse=True)
def planted(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada.l")
    monkeypatch.setattr(getpass, "getuser", lambda: "ada.l")
    monkeypatch.setattr(socket, "gethostname", lambda: "engine7.example.org")
    module._names.cache_clear()
    yield
    module._names.cache_clear()


def test_home_user_and_host_are_gone():
    text = scrub("ada.l on engine7.example.org (engine7): cannot read /home/ada.l/models/filter.bin")
    assert text == "<user> on <host> (<host>): cannot read filter.bin"


def test_an_absolute_path_keeps_its_last_part():
    assert scrub('File "/opt/env/lib/python3.11/site-packages/torch/nn.py", line 12') == 'File "nn.py", line 12'


def test_a_windows_path_keeps_its_last_part():
    assert scrub(r"cannot load C:\Users\Ada\kernels.dll") == "cannot load kernels.dll"


@pytest.mark.parametrize("text", ["12 FLOP/s", "a/b", "1/2 and 3/4", "aten::mul", "https is not here", "read/write"])
def test_what_is_no_path_stays(text):
    assert scrub(text) == text


def test_a_name_inside_a_word_stays(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "sam")
    module._names.cache_clear()
    assert scrub("12 samples by sam") == "12 samples by <user>"


def test_root_is_no_name(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    module._names.cache_clear()
    assert scrub("the square root") == "the square root"


def test_a_user_without_a_name_is_no_error(monkeypatch):
    def nameless():
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    module._names.cache_clear()
    assert scrub("all is well") == "all is well"
