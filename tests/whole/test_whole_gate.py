from __future__ import annotations

import signal

import pytest
from small_repository import COPY_BUILD, OPERATOR, make_repository
from whole_program import LIMIT_S, Program

from hyenaprof.records.store import load_run

SUITE = ("gate", "--ops", OPERATOR, "--device", "fake", "--lengths", "256", "--phases", "forward")
AGAINST = (*SUITE, "--against", "main", "--build", COPY_BUILD)


@pytest.fixture
def small(tmp_path, monkeypatch):
    made = make_repository(tmp_path)
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture
def program(small):
    return Program(small.top)


def leaves_nothing(small, program, before):
    assert small.state() == before
    assert list(small.temporary.iterdir()) == []
    assert program.left_behind() == []


def test_a_slower_operator_of_ones_own_is_red_and_nothing_is_left(small, program):
    small.write(1.2e-6, notes="not committed, and part of the candidate's tree")
    before = small.state()
    ended = program.run(*SUITE, "--against", "main")  # the default build, by pip
    assert (ended.returncode, ended.stderr) == (1, ""), ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("red: 1 regressed")
    assert f"{OPERATOR}:plain forward L=256" in ended.stdout
    (folder,) = (small.top / "runs").iterdir()
    medians = [load_run(folder / side).records[0].visits[0].latency_s[0] for side in ("base", "candidate")]
    assert medians == pytest.approx([256e-6, 1.2 * 256e-6])
    leaves_nothing(small, program, before)


def test_two_commits_are_compared_from_a_clean_tree(small, program):
    small.write(0.5e-6)
    small.commit()
    before = small.state()
    ended = program.run(*SUITE, "--against", "main~1", "--build", COPY_BUILD)
    assert ended.returncode == 0
    assert "improved" in ended.stdout
    leaves_nothing(small, program, before)


def test_what_the_environment_around_has_of_the_package_is_not_measured_in_its_stead(small, program, monkeypatch):
    """PYTHONPATH and the current folder both hold the working tree: the base must not be measured from there."""
    small.write(1e-6, breaks=True)
    path = small.environment()["PYTHONPATH"]
    monkeypatch.setenv("PYTHONPATH", f"{small.top}:{path}")
    ended = program.run(*AGAINST)
    assert ended.returncode == 1
    assert "ran before, now" in ended.stdout


def test_a_build_that_fails_is_told_and_leaves_nothing(small, program):
    before = small.state()
    ended = program.run(*SUITE, "--against", "main", "--build", "echo no compiler here >&2; exit 7")
    error, hint = ended.stderr.splitlines()
    assert ended.returncode == 2
    assert error.startswith("error: main (")
    assert "cannot be built" in error
    assert error.endswith("no compiler here")
    assert "--build CMD" in hint
    leaves_nothing(small, program, before)


def test_a_build_that_installs_nothing_is_no_comparison(program):
    ended = program.run(*SUITE, "--against", "main", "--build", "true")
    assert ended.returncode == 2
    assert "mixlib does not come from main" in ended.stderr


def test_a_suite_without_an_operator_of_the_repository_is_no_comparison(program):
    ended = program.run("gate", "--device", "fake", "--against", "main", "--build", COPY_BUILD)
    assert ended.returncode == 2
    assert "every operator of the suite is hyenaprof's own" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_interrupted_leaves_nothing(small, program, number):
    before = small.state()
    process = program.start(*SUITE, "--against", "main", "--build", "echo > begun; sleep 600")
    assert "building main" in process.stdout.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert "Traceback" not in err
    leaves_nothing(small, program, before)


def test_a_gate_that_is_interrupted_tells_what_there_is_and_leaves_nothing(small, program):
    before = small.state()
    process = program.start(*AGAINST)
    while "] round 1:" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert f"{OPERATOR}:plain forward" in out
    leaves_nothing(small, program, before)


REAL = """
from typing import NamedTuple

import torch

from hyenaprof.model import Cost
from hyenaprof.operators import OperatorEntry
from hyenaprof.operators.base import TORCH_DTYPES, Operator, leaf, normal, seeded

GAIN = 1.0


class MixerInputs(NamedTuple):
    x_BLD: torch.Tensor


class Mixer(Operator):
    entry = OperatorEntry("", ("plain",), family="toy", exponent=1.0, paper="none")

    def inputs(self, shape, scope, *, dtype, device, seed):
        x = normal(shape.batch, shape.length, shape.width, generator=seeded(seed))
        return MixerInputs(leaf(x, TORCH_DTYPES[dtype], device))

    def build(self, implementation, shape, scope, *, dtype, device):
        return lambda x_BLD: GAIN * x_BLD

    def reference(self, scope, x_BLD):
        return x_BLD

    def cost(self, implementation, shape, scope, *, phase, dtype):
        return Cost(flops=1e6, bytes=1e6, need_bytes=1e6, source="a toy")
"""


def test_a_real_worker_verifies_each_sides_own_code(small):
    """The scripts stand aside: torch is loaded, and the candidate's operator is wrong by a tenth."""
    module = small.top / "mixlib" / "mix.py"
    module.write_text(REAL, encoding="utf-8")
    small.commit()
    module.write_text(REAL.replace("GAIN = 1.0", "GAIN = 1.1"), encoding="utf-8")
    (small.site / "sitecustomize.py").unlink()
    program = Program(small.top)
    before = small.state()
    ended = program.run(*AGAINST)
    assert (ended.returncode, ended.stderr) == (1, ""), ended.stdout
    assert f"{OPERATOR}:plain forward L=256: ran before, now" in ended.stdout
    assert "output: error 0.099," in ended.stdout
    leaves_nothing(small, program, before)
