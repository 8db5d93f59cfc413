from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hyenaprof.cli.options import interpreters, scenario_of
from hyenaprof.errors import ScenarioError
from hyenaprof.model import DType, Phase, Scope
from hyenaprof.records.scenario import Protocol, load_scenario
from hyenaprof.resources import scenario_files

FLAGS = {"ops": "hyena:fft,flash:sdpa"}
PAGE = """
operators:
  hyena: {implementations: [fft], order: 3}
  flash: {implementations: [sdpa]}
lengths: {from: 512, to: 4k}
phases: [forward]
protocol: {threads: 2}
budget: 3m
"""


@pytest.fixture
def page(tmp_path):
    """A scenario's file."""
    path = tmp_path / "mine.yaml"
    path.write_text(PAGE, encoding="utf-8")
    return str(path)


def test_flags_and_a_page_reach_the_same_scenario(page):
    flags = scenario_of(
        None,
        {
            **FLAGS,
            "set": ["hyena.order=3"],
            "min_len": "512",
            "max_len": "4k",
            "phases": "forward",
            "threads": 2,
            "budget": "3m",
        },
    )
    assert flags.name == "hyena-flash"
    assert flags.model_copy(update={"name": "mine"}) == scenario_of(page, {}) == load_scenario(Path(page))


def test_every_flag_reaches_its_key():
    scenario = scenario_of(
        None,
        {
            "ops": "hyena:fft, flash",
            "set": ["hyena.order=3", "hyena.window=false", "hyena.frequency=1"],
            "lengths": "1k, 3000",
            "batch": "1,8",
            "width": "128,768",
            "heads": "2",
            "dtype": "float32,bfloat16",
            "device": "cuda:1",
            "scope": "core",
            "phases": "training,forward",
            "seed": 3,
            "budget": "90s",
            "precision": "2%",
            "rounds": 5,
            "cache": "hot",
            "allocator": "default",
            "threads": 4,
            "cuda_graph": True,
        },
    )
    hyena, flash = scenario.operators["hyena"], scenario.operators["flash"]
    assert (hyena.implementations, hyena.options) == (("fft",), (("frequency", 1.0), ("order", 3), ("window", False)))
    assert (flash.implementations, flash.options) == ((), ())
    assert scenario.lengths == (1024, 3000)
    assert (scenario.batch, scenario.width, scenario.heads) == ((1, 8), (128, 768), (2,))
    assert scenario.dtype == (DType.FLOAT32, DType.BFLOAT16)
    assert (scenario.device, scenario.scope) == ("cuda:1", Scope.CORE)
    assert scenario.phases == (Phase.TRAINING, Phase.FORWARD)
    assert (scenario.seed, scenario.budget, scenario.precision, scenario.rounds) == (3, 90.0, 0.02, 5)
    assert scenario.protocol == Protocol(cache="hot", allocator="default", threads=4, cuda_graph=True)


@pytest.mark.parametrize("text", ["131072", "131_072", "128k"])
def test_a_length_is_written_as_one_likes(text):
    assert scenario_of(None, {**FLAGS, "max_len": text}).lengths[-1] == 131072


def test_flags_lie_over_a_page_and_leave_the_rest_of_it(page):
    scenario = scenario_of(page, {"max_len": "8k", "set": ["hyena.order=4"], "cache": "hot", "budget": "1h"})
    assert scenario.lengths == (512, 1024, 2048, 4096, 8192)
    assert scenario.operators["hyena"].options == (("order", 4),)
    assert scenario.operators["hyena"].implementations == ("fft",)
    assert scenario.protocol == Protocol(cache="hot", threads=2)
    assert (scenario.budget, scenario.phases) == (3600.0, (Phase.FORWARD,))


def test_exact_lengths_replace_a_pages_range(page):
    assert scenario_of(page, {"lengths": "64,96"}).lengths == (64, 96)


def test_bounds_that_a_list_keeps_change_nothing(page):
    assert scenario_of(page, {"lengths": "64,96", "max_len": "96"}).lengths == (64, 96)


def test_several_implementations_of_one_operator_are_compared():
    scenario = scenario_of(None, {"ops": "hyena,hyena:fft,hyena:fft,attention:math"})
    assert list(scenario.operators) == ["hyena", "attention"]
    assert scenario.operators["hyena"].implementations == ("fft",)


@pytest.mark.parametrize("name", ["quick", "quick.yaml"])
def test_a_shipped_scenario_is_found_by_its_bare_name(name):
    assert scenario_of(name, {}) == load_scenario(scenario_files()["quick"])


def test_a_file_goes_before_a_shipped_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick").write_text("operators: {hyena: {}}\npurpose: mine\n", encoding="utf-8")
    assert scenario_of("quick", {}).purpose == "mine"


def test_the_name_that_flags_give_can_name_a_folder():
    assert scenario_of(None, {"ops": "hyena:fft,flash"}).name == "hyena-flash"


def test_an_interpreter_is_found_by_path_or_name(monkeypatch):
    assert interpreters([f"flash:sdpa={sys.executable}"]) == {"flash:sdpa": sys.executable}
    assert interpreters(None) == {}
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ScenarioError, match="no interpreter there"):
        interpreters(["flash:sdpa=python"])
