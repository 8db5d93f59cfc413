"""The order in which modules may import one another, and where alone each library is imported.

Two towers stand on one ground and never touch: the parent's knows nothing of torch, the worker's nothing of runs and
reports. Late imports, inside functions, count like any other; what stands under `TYPE_CHECKING` is never imported,
so there only the order of our own modules is held.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import hyenaprof

PACKAGE = Path(hyenaprof.__file__).parent
LONGEST_FILE = 400

# Each level imports only from levels before it in its own column and in the ground; units that share a level do not
# import each other. `operators` and `devices` as ground are the literal tables alone, their packages' __init__.py.
GROUND = (("errors",), ("units", "scrub", "environment", "resources"), ("model", "operators", "devices"), ("pipe",))
PARENT = (("records",), ("analysis",), ("running", "report"), ("cli",))
WORKER = (("operators", "devices"), ("worker",))
TABLES = {"operators", "devices"}
DOORS = {"", "__main__", "library"}
"""Where the towers are entered: the public library and `python -m hyenaprof`. They import anything, late."""

# A library not named here may be imported anywhere; one with no place, nowhere. The longest prefix decides, and a
# place that ends in a dot is the modules inside a package without its __init__.py, the literal table.
PLACES: Mapping[str, tuple[str, ...]] = {
    "torch": ("operators.", "devices.", "worker", "library"),
    "triton": ("operators.",),
    "pynvml": ("devices.cuda", "worker.fingerprint"),
    "typer": ("cli",),
    "rich": ("cli", "running.progress", "report.terminal"),
    "click": (),
    "pandas": ("report",),
    "seaborn": ("report",),
    "matplotlib": ("report",),
    "jinja2": ("report",),
    "numpy": ("analysis", "report", "operators.", "devices.", "worker"),
    "scipy": ("analysis",),
    "scipy.stats": (),  # 0.7 s to import: scipy.special has the quantiles
    "yaml": ("records", "analysis.claims", "cli.options"),
    "tensorboard": (),
    "torch_tb_profiler": (),
    "statsmodels": (),
}


@dataclass(frozen=True, slots=True)
class Import:
    """One import as the source has it: what, in which line, and whether only a type checker sees it."""

    target: str
    line: int
    typing_only: bool


def imports_of(source: str, module: str, known: set[str]) -> Iterator[Import]:
    """Every import of a module, wherever it stands; `from a import b` is `a.b` where that is a module."""
    tree = ast.parse(source)
    hidden = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and ast.unparse(guard.test).endswith("TYPE_CHECKING")
        for statement in guard.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            base = parts[: len(parts) - node.level + (module in packages(known))] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{origin}.{alias.name}" for alias in node.names]
            targets = [name if name in known or not origin.startswith("hyenaprof") else origin for name in names]
        else:
            continue
        yield from (Import(target, node.lineno, id(node) in hidden) for target in targets)


def packages(known: set[str]) -> set[str]:
    return {module.rpartition(".")[0] for module in known}


def unit_of(module: str) -> str:
    """`records` for `hyenaprof.records.journal`; empty for the package itself."""
    return module.removeprefix("hyenaprof").strip(".").partition(".")[0]


def place_of(module: str) -> tuple[str, int]:
    """Tower and level; a module of no tower is a door."""
    unit = unit_of(module)
    is_table = unit in TABLES and module == f"hyenaprof.{unit}"
    towers = [("ground", GROUND)] if is_table else [("parent", PARENT), ("worker", WORKER), ("ground", GROUND)]
    for tower, levels in towers:
        for level, units in enumerate(levels):
            if unit in units:
                return tower, level
    if unit in DOORS:
        return "door", 0
    raise AssertionError(f"{module} has no place in the layout: name it in tests/test_architecture.py and DESIGN")


def order_allows(importer: str, imported: str) -> bool:
    (tower, level), (other_tower, other_level) = place_of(importer), place_of(imported)
    if tower == "door" or imported == "hyenaprof":  # the package itself holds the version
        return True
    if tower == "ground":
        same = unit_of(importer) == unit_of(imported) and unit_of(importer) not in TABLES
        return other_tower == "ground" and (same or other_level < level)
    return other_tower == "ground" or (
        other_tower == tower and (other_level < level or unit_of(importer) == unit_of(imported))
    )


def library_allows(importer: str, imported: str) -> bool:
    known = [library for library in PLACES if f"{imported}.".startswith(f"{library}.")]
    if not known:
        return True
    module = importer.removeprefix("hyenaprof").strip(".")
    places = PLACES[max(known, key=len)]
    return any(module == place or module.startswith(place.removesuffix(".") + ".") for place in places)


def violations(sources: Mapping[str, str]) -> list[str]:
    """Every import that breaks the layout, as `module:line imports what`."""
    found = []
    for module, source in sources.items():
        for entry in imports_of(source, module, {*SOURCES, *sources}):
            if entry.target.split(".")[0] == "hyenaprof":
                allowed = order_allows(module, entry.target)
            else:
                allowed = entry.typing_only or library_allows(module, entry.target)
            if not allowed:
                found.append(f"{module}:{entry.line} imports {entry.target}")
    return found


def read_sources() -> dict[str, str]:
    sources = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["hyenaprof", *path.relative_to(PACKAGE).with_suffix("").parts]
        sources[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return sources


SOURCES = read_sources()


def test_every_module_imports_only_what_stands_before_it():
    assert violations(SOURCES) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("hyenaprof.records.store", "import torch"),
        ("hyenaprof.report.render", "from torch import nn"),
        ("hyenaprof.cli.app", "import hyenaprof.worker.measure"),
        ("hyenaprof.running.runner", "from hyenaprof.worker import measure"),
        ("hyenaprof.running.plan", "from hyenaprof.operators import base"),
        ("hyenaprof.running.plan", "from hyenaprof.operators.base import Operator"),
        ("hyenaprof.running.plan", "from hyenaprof.report import render"),
        ("hyenaprof.worker.session", "from hyenaprof.records.journal import read"),
        ("hyenaprof.operators.base", "from hyenaprof.devices.base import Device"),
        ("hyenaprof.devices.base", "from hyenaprof.worker import measure"),
        ("hyenaprof.operators", "from hyenaprof.operators.base import Operator"),
        ("hyenaprof.operators", "import torch"),
        ("hyenaprof.model", "from hyenaprof.pipe import Hello"),
        ("hyenaprof.units", "from hyenaprof.model import Point"),
        ("hyenaprof.records.journal", "from hyenaprof.analysis import stats"),
        ("hyenaprof.records.journal", "from ..analysis import stats"),
        ("hyenaprof.analysis.stats", "import pandas as pd"),
        ("hyenaprof.analysis.stats", "from scipy import stats"),
        ("hyenaprof.analysis.stats", "import scipy.stats"),
        ("hyenaprof.report.render", "import rich"),
        ("hyenaprof.running.runner", "from rich.live import Live"),
        ("hyenaprof.worker.memory", "import pynvml"),
        ("hyenaprof.cli.app", "import click"),
        ("hyenaprof.library", "import pandas"),
    ],
)
@pytest.mark.parametrize("form", ["{}", "def late():\n    {}", "try:\n    {}\nexcept ImportError:\n    pass"])
def test_a_planted_violation_is_found(module, line, form):
    assert [entry.partition(":")[0] for entry in violations({module: form.format(line)})] == [module]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("hyenaprof.records.store", "import hyenaprof.model, hyenaprof.errors"),
        ("hyenaprof.records.store", "from hyenaprof.operators import OPERATORS"),
        ("hyenaprof.records.store", "from hyenaprof import __version__"),
        ("hyenaprof.report.render", "import pandas"),
        ("hyenaprof.worker.measure", "import torch.profiler"),
        ("hyenaprof.worker.measure", "from hyenaprof.operators.base import Operator"),
        ("hyenaprof.analysis.stats", "from scipy.special import stdtrit"),
        ("hyenaprof.analysis.stats", "if TYPE_CHECKING:\n    import pandas"),
        ("hyenaprof.library", "def measure():\n    from hyenaprof.worker import measure"),
    ],
)
def test_what_the_layout_allows_is_not_flagged(module, line):
    assert violations({module: line}) == []


def test_typing_only_imports_cannot_cross_the_towers_either():
    planted = {"hyenaprof.running.plan": "if TYPE_CHECKING:\n    from hyenaprof.worker import measure"}
    assert violations(planted) == ["hyenaprof.running.plan:2 imports hyenaprof.worker.measure"]


def test_a_module_outside_the_layout_is_refused():
    with pytest.raises(AssertionError, match="no place in the layout"):
        violations({"hyenaprof.helpers": "import hyenaprof.model"})


def test_no_file_is_longer_than_one_noun_takes():
    assert {module: lines for module, lines in lengths().items() if lines > LONGEST_FILE} == {}


def lengths() -> dict[str, int]:
    return {module: source.count("\n") for module, source in SOURCES.items()}


def loaded_by(modules: list[str]) -> set[str]:
    script = f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def tower(name: str) -> list[str]:
    return [module for module in SOURCES if place_of(module)[0] == name and not module.endswith("__main__")]


def test_the_parents_tower_loads_without_torch():
    assert not {"torch", "triton", "pynvml"} & loaded_by([*tower("ground"), *tower("parent"), "hyenaprof.library"])


def test_the_workers_tower_loads_nothing_of_runs_and_reports():
    loaded = loaded_by(tower("worker"))
    assert "torch" in loaded
    assert not set(tower("parent")) & loaded
    assert not {"pandas", "typer", "rich", "seaborn"} & loaded
