from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from small_repository import COPY_BUILD, OPERATOR, make_repository

import hyenaprof
from hyenaprof.errors import GateError
from hyenaprof.running.environments import against, alike, of_interpreters, packages_of

WHERE = "import hyenaprof.worker, mixlib.mix; print(hyenaprof.worker.__file__, mixlib.mix.SECONDS_PER_TOKEN)"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small repository, which is where we stand."""
    made = make_repository(tmp_path)
    monkeypatch.chdir(made.top)
    monkeypatch.setenv("TMPDIR", str(made.temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    return made


def says(side, code, *, cwd=None):
    """What a line of Python prints in a side's environment."""
    done = subprocess.run(
        [side.python, "-c", code], env=side.environment(), cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_each_side_imports_its_own_package_and_the_running_hyenaprof(small):
    small.write(2e-6)
    notes = []
    with against("main", [OPERATOR], notes.append, build=COPY_BUILD) as compared:
        (base_file, base), (file, candidate) = (
            says(side, WHERE, cwd=small.top) for side in (compared.base, compared.candidate)
        )
        assert (float(base), float(candidate)) == (1e-6, 2e-6)
        for name in (base_file, file):
            assert Path(name).resolve() == Path(hyenaprof.__file__).resolve().parent / "worker" / "__init__.py"
        assert compared.base_name.startswith("main (")
    assert notes == [f"building {compared.base_name}", "building the working tree"]


def test_a_side_sees_what_is_installed_around_and_installs_into_itself(small):
    code = "import sys, importlib.util, shutil; print(sys.prefix, bool(importlib.util.find_spec('torch')))"
    with against("main", [OPERATOR], lambda _: None, build=f"{COPY_BUILD}; command -v pip > where") as compared:
        prefix, torch = says(compared.base, code)
        assert torch == "True"
        assert prefix.startswith(str(small.temporary))
        assert prefix != sys.prefix
        (where,) = small.temporary.glob("*/base/tree/where")
        assert where.read_text(encoding="utf-8").strip() == f"{prefix}/bin/pip"


def test_nothing_of_the_repository_comes_in_by_pythonpath_or_the_current_folder(small, monkeypatch):
    small.write(2e-6)
    monkeypatch.setenv("PYTHONPATH", f"{small.top}:{small.site}")
    with against("main", [OPERATOR], lambda _: None, build=COPY_BUILD) as compared:
        assert float(says(compared.base, WHERE, cwd=small.top)[1]) == 1e-6
        entries = compared.base.environment()["PYTHONPATH"].split(":")
        assert str(small.site) in entries
        assert str(small.top) not in entries


def test_in_hyenaprofs_own_repository_the_trees_give_the_operators_alone(small):
    operators = small.top / "hyenaprof" / "operators"
    operators.mkdir(parents=True)
    for mark in ("old", "new"):
        (operators / "__init__.py").write_text(f"MARK = {mark!r}\n", encoding="utf-8")
        (small.top / "hyenaprof" / "units.py").write_text(
            "raise ImportError('not the running one')\n", encoding="utf-8"
        )
        if mark == "old":
            small.commit()
    code = "import hyenaprof.operators as o, hyenaprof.units as u, hyenaprof; print(o.MARK, hyenaprof.__version__)"
    before = small.state()
    with against("main", ["hyena"], lambda _: None) as compared:
        assert says(compared.base, code) == ["old", hyenaprof.__version__]
        assert says(compared.candidate, code) == ["new", hyenaprof.__version__]
    assert small.state() == before
    assert list(small.temporary.iterdir()) == []


def test_a_commit_before_the_operators_were_there_is_refused(small):
    operators = small.top / "hyenaprof" / "operators"
    operators.mkdir(parents=True)
    (operators / "__init__.py").write_text("", encoding="utf-8")
    with pytest.raises(GateError, match="has no hyenaprof/operators"), against("main", ["hyena"], lambda _: None):
        pass


def test_a_repository_that_says_nothing_of_its_build_needs_to_be_told(small):
    (small.top / "pyproject.toml").unlink()
    with (
        pytest.raises(GateError, match=r"neither pyproject.toml nor setup.py"),
        against("main", [OPERATOR], lambda _: None),
    ):
        pass


def test_an_environment_against_itself_is_the_same_twice():
    with alike() as compared:
        assert compared.base == compared.candidate
        assert says(compared.base, "import hyenaprof; print(hyenaprof.__version__)") == [hyenaprof.__version__]


def test_two_interpreters_that_import_a_package_from_one_place_are_noted(small, monkeypatch):
    notes = []
    monkeypatch.setenv("PYTHONPATH", str(small.top))
    pythons = {"A": sys.executable, "B": sys.executable}
    with of_interpreters(pythons, [OPERATOR, "hyena"], notes.append) as compared:
        assert (compared.base.python, compared.candidate.python) == (sys.executable, sys.executable)
    assert notes == ["A and B import mixlib from the same place: they differ in what else is installed, if at all"]


def test_an_interpreter_that_cannot_run_is_refused(tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such thing >&2; exit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    pythons = {"A": str(broken), "B": sys.executable}
    with (
        pytest.raises(GateError, match=r"A: its python cannot be run: no such thing"),
        of_interpreters(pythons, [OPERATOR], lambda _: None),
    ):
        pass


def test_the_package_of_an_operator_is_that_of_its_class():
    assert packages_of(["hyena", "mypkg.deep.mod:Class"]) == {"hyena": "hyenaprof", "mypkg.deep.mod:Class": "mypkg"}
