"""What the journal's header says was asked: the command, without a path of the machine it ran on."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import make_scenario

from hyenaprof.running.runner import SweepRequest


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        ({}, "sweep scenario.yaml"),
        ({"refine": False}, "sweep scenario.yaml --no-refine"),
        ({"crossover_precision": 0.02}, "crossover scenario.yaml --precision 0.02"),
        ({"timeout_s": 90.0, "force": True}, "sweep scenario.yaml --timeout 90s --force"),
        (
            {"pythons": {"flash:fa4": "/home/jdoe/env/bin/python"}, "out": Path("/home/jdoe/run"), "fresh": True},
            "sweep scenario.yaml --python flash:fa4=PATH",
        ),
    ],
)
def test_the_command_asks_for_the_same_and_names_no_place(asked, command):
    assert " ".join(SweepRequest(make_scenario(), **asked).command) == command
