"""Sweeps whose workers are scripts."""

from __future__ import annotations

import pytest
from builders import make_scenario
from scripted import Orders, write_script
from sweeps import FAST, RecordingDisplay

from hyenaprof.running.runner import Interrupted, SweepRequest, sweep


@pytest.fixture
def go(tmp_path):
    """Runs a sweep of hyena and flash whose workers are scripts; gives the run, what was told, and the script."""

    def run(orders=None, *, stop_after=None, pythons=None, request=None, **scenario):
        script = write_script(tmp_path, orders or Orders(laws=FAST))
        asked = make_scenario(**{"device": "fake", "lengths": [1024, 2048], "rounds": 2, **scenario})
        made = SweepRequest(
            asked,
            out=tmp_path / "run",
            pythons=dict.fromkeys(pythons or ("hyena:fft", "flash:sdpa"), str(script.path)),
            **(request or {}),
        )
        told = RecordingDisplay(stop_after=stop_after)
        try:
            return sweep(made, told), told, script
        except Interrupted as stopped:
            return stopped.folder, told, script

    return run
