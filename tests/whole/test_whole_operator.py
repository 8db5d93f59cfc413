from __future__ import annotations

import pytest
from whole_program import Program

import hyenaprof
from hyenaprof.model import Outcome

TABLE = """
from hyenaprof.operators import OperatorEntry

TOY = OperatorEntry("toy:Toy", ("plain",), family="toy", exponent=1.0, paper="none", options={"gain": 2.0})
MISTOY = OperatorEntry("toy:Mistoy", ("plain",), family="toy", exponent=1.0, paper="none", options={"gain": 2.0})
"""
OPERATOR = """
from typing import NamedTuple

import torch

from hyenaprof.model import Cost
from hyenaprof.operators import OperatorEntry
from hyenaprof.operators.base import TORCH_DTYPES, Operator, leaf, normal, of_phase, seeded


class ToyInputs(NamedTuple):
    x_BLD: torch.Tensor
    weight_D: torch.Tensor


class Toy(Operator):
    error = 1.0

    def inputs(self, shape, scope, *, dtype, device, seed):
        generator = seeded(seed)
        make = lambda *sizes: leaf(normal(*sizes, generator=generator), TORCH_DTYPES[dtype], device)
        return ToyInputs(make(shape.batch, shape.length, shape.width), make(shape.width))

    def build(self, implementation, shape, scope, *, dtype, device):
        gain = self.options["gain"] * self.error
        return lambda x_BLD, weight_D: gain * x_BLD * weight_D

    def reference(self, scope, x_BLD, weight_D):
        return self.options["gain"] * x_BLD * weight_D

    def cost(self, implementation, shape, scope, *, phase, dtype):
        elements = shape.batch * shape.length * shape.width
        return Cost(
            flops=of_phase(phase, forward=2.0 * elements, backward=4.0 * elements),
            bytes=of_phase(phase, forward=8.0 * elements, backward=16.0 * elements),
            need_bytes=64.0 * elements,
            parameters=shape.width,
            source="a toy",
        )


class Mistoy(Toy):
    error = 1.5


class Own(Toy):
    entry = OperatorEntry("", ("plain",), family="toy", exponent=1.0, paper="none", options={"gain": 2.0})
"""
OWN = "toys.toy:Own"
ENTRY_POINTS = """
[hyenaprof.operators]
toy = toy_table:TOY
mistoy = toy_table:MISTOY
gone = nowhere:ENTRY
missing = toy_table:MISSING
odd = toy_table:OperatorEntry
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A program beside which somebody's operator is installed: one class, one table line."""
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("toys")
    (site / "toy.py").write_text(OPERATOR, encoding="utf-8")
    (site / "toys").mkdir()
    (site / "toys" / "toy.py").write_text(OPERATOR, encoding="utf-8")
    (site / "toys" / "torn.py").write_text("import torch\nfrom nowhere import Anything\n", encoding="utf-8")
    (site / "toys" / "dies.py").write_text("import os\nos._exit(3)\n", encoding="utf-8")
    (site / "toy_table.py").write_text(TABLE, encoding="utf-8")
    distribution = site / "toy-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n", encoding="utf-8")
    (distribution / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    return Program(folder, path=(site,))


def test_somebody_elses_operator_goes_through_a_whole_sweep(program):
    ended = program.run(
        *("sweep", "--ops", "toy,mistoy,flash", "--set", "toy.gain=3", "--device", "fake"),
        *("--lengths", "1000", "--phases", "forward,training", "--rounds", "1", "--out", "mine"),
    )
    assert (ended.returncode, ended.stderr) == (1, ""), "one operator is wrong"
    run = hyenaprof.load(program.folder / "mine")
    found = {}
    for record in run.records:
        found.setdefault(record.point.operator, set()).add(record.outcome)
    assert found == {"toy": {Outcome.OK}, "mistoy": {Outcome.INCORRECT}, "flash": {Outcome.OK}}
    (green,) = (c for c in run.run.checks if c.point.operator == "toy" and c.point.shape.length == 127)
    assert green.passed
    assert dict(green.point.options) == {"gain": 3.0}
    assert {"output", "gradient of x", "gradient of weight"} <= {entry.quantity for entry in green.entries}
    (red,) = (c for c in run.run.checks if c.point.operator == "mistoy")
    assert red.worst.error == pytest.approx(0.5, rel=0.1)
    assert "toy:plain" in (program.folder / "mine" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone", "operator 'gone' cannot be loaded: No module named 'nowhere'"),
        ("missing", "operator 'missing' cannot be loaded: module 'toy_table' has no attribute 'MISSING'"),
        ("odd", "operator 'odd' is no OperatorEntry"),
    ],
)
def test_somebody_elses_broken_package_is_an_error_only_where_its_operator_is_named(program, name, said):
    ended = program.run("sweep", "--ops", f"{name},flash", "--device", "fake", "--out", "refused")
    error, hint = ended.stderr.splitlines()
    assert (ended.returncode, error) == (2, f"error: {said}")
    assert "repair or remove the package that declares" in hint


def test_somebody_elses_operator_is_meant_by_a_name_that_is_nearly_its_own(program):
    assert program.run("sweep", "--ops", "tyo").stderr.splitlines()[1] == "hint: did you mean 'toy'?"


def test_somebody_elses_options_are_checked_before_anything_is_begun(program):
    ended = program.run("sweep", "--ops", "toy", "--set", "toy.gian=3", "--device", "fake", "--out", "refused")
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == ["error: operator 'toy' has no option 'gian'", "hint: did you mean 'gain'?"]
    assert not (program.folder / "refused").exists()


def test_an_operator_named_by_its_import_path_goes_through_a_whole_sweep(program):
    ended = program.run(
        *("sweep", "--ops", f"{OWN},flash", "--set", f"{OWN}.gain=3", "--device", "fake"),
        *("--lengths", "500,1000", "--phases", "forward", "--rounds", "2", "--out", "own"),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    run = hyenaprof.load(program.folder / "own")
    assert {(r.point.label, len(r.visits)) for r in run.records} == {(f"{OWN}:plain[gain=3.0]", 2), ("flash:sdpa", 2)}
    (check,) = (c for c in run.run.checks if c.point.operator == OWN and c.point.shape.length == 127)
    assert check.passed
    (crossover,) = run.crossovers()
    assert crossover.challenger.operator == OWN, "its time was measured to grow with a lower power of L"
    assert OWN in (program.folder / "own" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "toys.nothing:Own",
            "operator 'toys.nothing:Own' cannot be had: toys.nothing:Own cannot be imported: No module",
        ),
        ("toys.torn:Own", "operator 'toys.torn:Own' cannot be had: toys.torn:Own cannot be imported: No module named"),
        ("toys.toy:Nobody", "operator 'toys.toy:Nobody' cannot be had: toys.toy:Nobody is no operator"),
        ("toys.toy:Toy", "operator 'toys.toy:Toy' cannot be had: toys.toy:Toy has no `entry`"),
        ("toys.dies:Own", "operator 'toys.dies:Own': its import ended the process (3)"),
        ("toys.toy", "no operator 'toys.toy'"),
        (f"{OWN}:fast", f"operator '{OWN}' has no implementation 'fast'"),
    ],
)
def test_an_import_path_that_leads_nowhere_is_one_sentence_and_a_hint(program, name, said):
    ended = program.run("sweep", "--ops", f"{name},flash", "--device", "fake", "--out", "refused")
    error, hint = ended.stderr.splitlines()
    assert ended.returncode == 2
    assert error.startswith(f"error: {said}")
    assert hint.startswith("hint: ")
    assert not (program.folder / "refused").exists()
