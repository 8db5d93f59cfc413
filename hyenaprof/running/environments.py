"""The two environments that a gate compares: both run this hyenaprof, and differ in what they import beside it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import site
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import hyenaprof
from hyenaprof.environment import Interpreter
from hyenaprof.errors import GateError
from hyenaprof.operators import entry_of
from hyenaprof.records.outside import is_outside
from hyenaprof.running.workers import last_words
from hyenaprof.running.worktree import Repository, repository_here, two_trees
from hyenaprof.scrub import scrub

INSTALL = "python -m pip install --no-deps --no-build-isolation --ignore-installed --quiet ."
"""Builds the package; what is installed in the present environment under the same name is not even looked at."""
_OURS = "hyenaprof"
_ORIGINS = """
import importlib.util, json, sys
found = {}
for name in sys.argv[1:]:
    spec = importlib.util.find_spec(name)
    places = [] if spec is None else [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    found[name] = places[0] if places else None
print(json.dumps(found))
"""
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Compared:
    """What is held against what.

    Attributes:
        base: The side that is known to be good.
        candidate: The side that is judged.
        base_name: As it is shown: `main (1a2b3c4d5e)`.
        candidate_name: Likewise.
    """

    base: Interpreter
    candidate: Interpreter
    base_name: str
    candidate_name: str


def packages_of(operators: Iterable[str]) -> dict[str, str]:
    """The top-level package that each operator's class comes from."""
    targets = {name: name if is_outside(name) else entry_of(name).target for name in operators}
    return {name: target.partition(":")[0].partition(".")[0] for name, target in targets.items()}


@contextmanager
def alike() -> Iterator[Compared]:
    """The present environment against itself: whatever a gate then finds is its own error."""
    with tempfile.TemporaryDirectory(prefix="hyenaprof-gate-") as folder:
        here = Interpreter(sys.executable, (str(_instrument(Path(folder), None)), str(Path.cwd())))
        yield Compared(here, here, "this environment", "this environment again")


@contextmanager
def of_interpreters(pythons: Mapping[str, str], operators: Iterable[str], note: Note) -> Iterator[Compared]:
    """Two environments by their interpreters, A the base and B the candidate.

    Raises:
        GateError: One of them cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="hyenaprof-gate-") as name:
        first = (str(_instrument(Path(name) / "first", None)),)
        sides = {side: Interpreter(pythons[side], first) for side in ("A", "B")}
        packages = sorted({package for package in packages_of(operators).values() if package != _OURS})
        found = [_origins(sides[side], packages, side) for side in ("A", "B") if packages]
        for package in packages:
            if found[0][package] == found[1][package]:
                note(f"A and B import {package} from the same place: they differ in what else is installed, if at all")
        yield Compared(sides["A"], sides["B"], "A", "B")


@contextmanager
def against(ref: str, operators: Iterable[str], note: Note, *, build: str | None = None) -> Iterator[Compared]:
    """A commit of the repository here against the working tree as it is, each built into an environment of its own.

    Where the repository is hyenaprof's own, the operators alone are taken from the two trees: what measures them is
    this hyenaprof on both sides. Else each tree is built into a virtual environment that sees whatever is installed
    here, and everything is gone when the block ends.

    Args:
        ref: A branch, tag or commit.
        operators: Names of what is measured, to see that it is had from the two trees.
        note: Told what is being done.
        build: Shell command that installs the package of the folder that it is run in; None for INSTALL.

    Raises:
        GateError: No repository, no such commit, a build that fails, or an operator that is not of this repository.
    """
    repository = repository_here()
    commit = repository.commit(ref)
    packages = sorted(set(packages_of(operators).values()))
    with two_trees(repository, commit) as (folder, base, tree):
        inside = repository.package.relative_to(repository.top)
        built = _Builder(repository, packages, build, note)
        a = built.side(folder / "base", base / inside, f"{ref} ({commit[:10]})")
        b = built.side(folder / "candidate", tree / inside, "the working tree")
        yield Compared(a, b, f"{ref} ({commit[:10]})", "the working tree")


@dataclass(frozen=True, slots=True)
class _Builder:
    """Makes a side's environment of a tree."""

    repository: Repository
    packages: list[str]
    build: str | None
    note: Note

    @property
    def is_ours(self) -> bool:
        return (self.repository.package / _OURS / "operators" / "__init__.py").is_file()

    def side(self, folder: Path, package: Path, name: str) -> Interpreter:
        extensions = (("TORCH_EXTENSIONS_DIR", str(folder / "extensions")),)
        without = str(self.repository.top)
        if self.is_ours:
            operators = package / _OURS / "operators"
            if not (operators / "__init__.py").is_file():
                raise GateError(f"{name} has no hyenaprof/operators", hint="name a later commit")
            first = (str(_instrument(folder / "first", operators)),)
            return Interpreter(sys.executable, first, without=without, variables=extensions)
        if not package.is_dir():
            raise GateError(f"{name} has no folder {package.name}", hint="name a later commit")
        first = (str(_instrument(folder / "first", None)),)
        if self.build is None and not self.repository.is_buildable:
            raise GateError(
                "there is neither pyproject.toml nor setup.py here", hint="say how it is installed: --build CMD"
            )
        self.note(f"building {name}")
        python = _make_environment(folder / "env")
        _run_build(self.build or INSTALL, package, folder / "env", folder / "build.log", name)
        side = Interpreter(str(python), first, without=without, variables=extensions)
        self._refuse_others(_origins(side, self.packages, name), folder, name)
        return side

    def _refuse_others(self, origins: Mapping[str, str | None], folder: Path, name: str) -> None:
        """Refuses a side whose operators come from elsewhere: such a gate would compare a thing with itself."""
        theirs = [package for package in self.packages if package != _OURS]
        if not theirs:
            raise GateError(
                "every operator of the suite is hyenaprof's own, and this is another repository",
                hint="name operators of this repository: --ops package.module:Class",
            )
        found = {package: origins[package] for package in theirs}
        if not any(place is not None and Path(place).resolve().is_relative_to(folder) for place in found.values()):
            raise GateError(
                f"{theirs[0]} does not come from {name}: its build did not install it",
                hint="say how it is installed with --build CMD",
            )


def _instrument(folder: Path, operators: Path | None) -> Path:
    """Makes a folder from which this hyenaprof and nothing else can be imported, with other operators where given."""
    own, home = Path(hyenaprof.__file__).resolve().parent, folder / _OURS
    folder.mkdir(parents=True, exist_ok=True)
    if operators is None:
        home.symlink_to(own, target_is_directory=True)
        return folder
    home.mkdir()
    for entry in own.iterdir():
        if entry.name not in {"operators", "__pycache__"}:
            (home / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
    (home / "operators").symlink_to(operators, target_is_directory=True)
    return folder


def _make_environment(folder: Path) -> Path:
    """Makes a virtual environment that sees whatever this one does, its own packages first; gives its python."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    python = folder / "bin" / "python"
    packages = next((folder / "lib").glob("python*")) / "site-packages"
    seen = dict.fromkeys((*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])))
    lines = [f"import site; site.addsitedir({entry!r})" for entry in seen if Path(entry).is_dir()]
    (packages / "zz_present.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pip = folder / "bin" / "pip"  # else a build that says `pip` would install into the environment around
    pip.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -m pip "$@"\n', encoding="utf-8")
    pip.chmod(0o755)
    return python


def _run_build(command: str, package: Path, environment: Path, log: Path, name: str) -> None:
    """Runs a build, and whatever it started to its end where we are interrupted.

    Raises:
        GateError: It failed.
    """
    variables = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME"}}
    variables |= {
        "VIRTUAL_ENV": str(environment),
        "PATH": os.pathsep.join((str(environment / "bin"), os.environ.get("PATH", os.defpath))),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    with log.open("wb") as said:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=package,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            code = process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        tail = scrub(last_words(log.read_text(encoding="utf-8", errors="replace")))
        raise GateError(f"{name} cannot be built: `{command}` gave {code}: {tail}", hint="say how with --build CMD")


def _origins(side: Interpreter, packages: Iterable[str], name: str) -> dict[str, str | None]:
    """Where an environment would import packages from; None for what it does not have."""
    done = subprocess.run(
        [side.python, "-c", _ORIGINS, *packages],
        env=side.environment(),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise GateError(f"{name}: its python cannot be run: {scrub(last_words(done.stderr))}", hint="check the path")
    found: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return found
