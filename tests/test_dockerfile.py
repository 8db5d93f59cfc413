"""The image, as far as it can be checked without an engine: its steps are read, and what it copies is built."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def instructions() -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) of each logical line, continuations joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    logical = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in logical) if word]


def all_of(name: str) -> list[str]:
    return [rest for word, rest in instructions() if word == name]


def copied() -> list[str]:
    return [source for rest in all_of("COPY") for source in shlex.split(rest)[1:-1]]


def test_the_base_is_a_cuda_image():
    assert [base.partition(":")[0] for base in all_of("FROM")] == ["nvidia/cuda"]


def test_it_does_not_run_as_root():
    users = all_of("USER")
    assert users
    assert users[-1] not in {"root", "0"}
    assert any(f"useradd --create-home {users[-1]}" in step for step in all_of("RUN"))


def test_it_installs_by_the_line_in_the_readme():
    install = "pip install -c constraints.txt ."
    assert install in all_of("RUN")
    assert f"\n{install}\n" in (ROOT / "README.md").read_text()


def test_it_starts_the_tool():
    (entry,) = all_of("ENTRYPOINT")
    assert json.loads(entry) == ["hyenaprof"]
    assert any(value.startswith("PATH=/opt/hyenaprof/bin:") for value in all_of("ENV"))
    assert "python3 -m venv /opt/hyenaprof" in all_of("RUN")


def test_what_it_copies_is_sent_to_the_engine():
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied()) == sent
    assert all((ROOT / source).exists() for source in copied())


def test_what_it_copies_is_enough_to_build_the_package(tmp_path):
    for source in copied():
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / source)
    command = [sys.executable, "-m", "pip", "-q", "wheel", "--no-index", "--no-deps", "--no-build-isolation", "."]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert len(list(tmp_path.glob("hyenaprof-*.whl"))) == 1
