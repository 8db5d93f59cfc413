"""What is shipped: the wheel and what it carries, the constraints, and the tool used without being installed."""

from __future__ import annotations

import os
import re
import runpy
import site
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import hyenaprof
from hyenaprof.operators import OPERATORS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the tools of this environment and nothing from an index."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run(*PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", folder, ROOT, cwd=folder)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


def make_environment(folder: Path, *wheels: Path) -> Path:
    """A fresh environment with these wheels; the libraries they need are read from the present one.

    Of the present one only the folder is seen: its own .pth files, and with them an editable hyenaprof, are not.
    """
    made = run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    assert made.returncode == 0, made.stderr
    python = folder / "bin" / "python"
    for path in wheels:
        installed = run(*PIP, "--python", python, "install", "--no-index", "--no-deps", path, cwd=folder.parent)
        assert installed.returncode == 0, installed.stderr
    (libraries,) = folder.glob("lib/python*/site-packages")
    (libraries / "present.pth").write_text("\n".join(site.getsitepackages()))
    return python


@pytest.fixture(scope="session")
def fresh_python(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    return make_environment(tmp_path_factory.mktemp("fresh") / "venv", wheel)


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_environment(tmp_path_factory.mktemp("bare") / "venv")


def files_below(folder: Path, pattern: str) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob(pattern) if path.is_file()}


def test_the_wheel_needs_no_compiler_and_carries_scenarios_templates_and_schema(wheel):
    assert wheel.name == f"hyenaprof-{hyenaprof.__version__}-py3-none-any.whl"
    carried = set(zipfile.ZipFile(wheel).namelist())
    scenarios = files_below(ROOT / "scenarios", "*.yaml")
    templates = files_below(ROOT / "hyenaprof" / "report" / "templates", "*")
    assert scenarios
    assert templates
    assert {f"hyenaprof/_data/scenarios/{name}" for name in scenarios} <= carried
    assert {f"hyenaprof/report/templates/{name}" for name in templates} <= carried
    assert {"hyenaprof/records/journal.schema.json", "hyenaprof/py.typed"} <= carried
    assert {name.partition("/")[0] for name in carried} == {"hyenaprof", f"hyenaprof-{hyenaprof.__version__}.dist-info"}


def test_the_installed_wheel_lists_what_there_is(fresh_python, tmp_path):
    where = run(fresh_python, "-c", "import hyenaprof; print(hyenaprof.__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(fresh_python.parent.parent)
    listed = run(fresh_python.with_name("hyenaprof"), "list", "--device", "fake", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    for word in ("hyena", "fft", "flash", "sdpa", "attention", "math", "modern", "paper-fig4.3"):
        assert word in listed.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_installed_wheel_sweeps_a_shipped_scenario_and_renders_it_again(fresh_python, tmp_path):
    command = fresh_python.with_name("hyenaprof")
    small = ("--lengths", "256,512", "--rounds", "1", "--budget", "2m")
    swept = run(command, "sweep", "quick", "--device", "fake", *small, cwd=tmp_path)
    assert swept.returncode == 0, swept.stdout + swept.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("quick-")
    assert {"scenario.yaml", "journal.jsonl", "report.md", "report.html"} <= {path.name for path in folder.iterdir()}

    pages = {name: (folder / name).read_text() for name in ("report.md", "report.html")}
    for name in pages:
        (folder / name).unlink()
    rendered = run(command, "report", folder, cwd=tmp_path)
    assert rendered.returncode == 0, rendered.stderr
    assert {name: (folder / name).read_text() for name in pages} == pages


def test_the_checkout_runs_uninstalled(bare_python, tmp_path):
    absent = run(bare_python, "-m", "hyenaprof", "--version", cwd=tmp_path)
    assert "No module named hyenaprof" in absent.stderr
    version = run(bare_python, "-m", "hyenaprof", "--version", cwd=ROOT, PYTHONPATH=".")
    assert version.stdout.split() == ["hyenaprof", hyenaprof.__version__]
    planned = run(
        bare_python, "-m", "hyenaprof", "sweep", "quick", "--device", "fake", "--dry-run", cwd=ROOT, PYTHONPATH="."
    )
    assert planned.returncode == 0, planned.stderr
    assert "hyena:fft" in planned.stdout


def test_the_shipped_schema_is_the_one_that_journals_obey():
    shipped = (ROOT / "hyenaprof" / "records" / "journal.schema.json").read_text(encoding="utf-8")
    current = runpy.run_path(str(ROOT / "scripts" / "journal_schema.py"))["schema_text"]()
    assert shipped == current, "a line of the journal changed: run scripts/journal_schema.py"


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.lstrip().startswith("#"))


def requirements() -> list[str]:
    return [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]


def canonical(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement).group()).lower()


def test_every_direct_dependency_is_pinned():
    assert {canonical(requirement) for requirement in requirements()} <= set(pins())
    assert (pins()["torch"], pins()["triton"]) == ("2.13.0", "3.7.1")


def test_the_ranges_are_the_ones_that_the_code_needs():
    declared = {canonical(requirement): requirement for requirement in PROJECT["dependencies"]}
    assert declared["torch"] == "torch>=2.11"
    assert declared["triton"].startswith("triton>=3.6;")
    assert declared["tensorboard"] == "tensorboard>=2.21,<3"
    assert PROJECT["requires-python"] == ">=3.11"


def test_a_plain_install_pulls_no_kernel_library():
    libraries = {"flash-attn", "flash-attn-4", "fla-core", "flash-linear-attention", "flashfftconv"}
    assert not libraries & set(pins())
    assert not libraries & {canonical(requirement) for requirement in requirements()}
    everything = [*requirements(), *(r for extra in PROJECT["optional-dependencies"].values() for r in extra)]
    assert not [requirement for requirement in everything if "subquadratic" in requirement], "proprietary: never ours"


def test_the_extras_are_the_lines_that_doctor_gives():
    extras = PROJECT["optional-dependencies"]
    flash, hyena = OPERATORS["flash"].install, OPERATORS["hyena"].install
    (second,) = extras["flash-attn"]
    assert flash["fa2"].endswith(f" && pip install --no-build-isolation '{second}'"), "two steps: its build needs torch"
    assert f"pip install '{extras['fa4'][0]}'" in flash["fa4"]
    assert hyena["fla"] == f"pip install '{extras['cuda'][0]}'"


@pytest.mark.extra
def test_the_extras_that_are_wheels_resolve_beside_the_constraints(tmp_path):
    compiled = run(
        *(sys.executable, "-m", "uv", "pip", "compile", ROOT / "pyproject.toml", "--extra", "fa4", "--extra", "cuda"),
        *("--constraint", ROOT / "constraints.txt", "--python-version", "3.11", "--only-binary", ":all:"),
        *("--python-platform", "x86_64-manylinux_2_28", "--no-annotate", "--no-header", "--quiet"),
        cwd=tmp_path,
    )
    assert compiled.returncode == 0, compiled.stderr
    resolved = {line.partition("==")[0] for line in compiled.stdout.splitlines()}
    assert {"flash-attn-4", "fla-core", "torch"} <= resolved
    assert "flash-attn" not in resolved


def test_no_file_names_a_package_index():
    texts = {
        name: (ROOT / name).read_text() for name in ("constraints.txt", "Makefile", "pyproject.toml", "Dockerfile")
    }
    assert [name for name, text in texts.items() if re.search(r"index-url|find-links|https?://", text)] == []


@pytest.mark.extra
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_constraints_resolve_for_linux_and_leave_nothing_unpinned(version, tmp_path):
    compiled = run(
        *(sys.executable, "-m", "uv", "pip", "compile", ROOT / "pyproject.toml", "--extra", "dev"),
        *("--constraint", ROOT / "constraints.txt", "--python-version", version),
        *(
            "--python-platform",
            "x86_64-manylinux_2_28",
            "--only-binary",
            ":all:",
            "--no-annotate",
            "--no-header",
            "--quiet",
        ),
        cwd=tmp_path,
    )
    assert compiled.returncode == 0, compiled.stderr
    resolved = dict(line.split("==") for line in compiled.stdout.splitlines())
    assert resolved == pins()
