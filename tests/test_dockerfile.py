"""The image, as far as it can be checked without an engine: its steps are read, and what it copies is built."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tomllib
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
    """What is copied from the checkout, each once; what a stage built is not."""
    words = [shlex.split(rest) for rest in all_of("COPY")]
    ours = [line for line in words if not any(word.startswith("--from=") for word in line)]
    return list(dict.fromkeys(word for line in ours for word in line[:-1] if not word.startswith("--")))


def test_both_stages_are_cuda_images_of_one_version_and_only_the_first_has_a_compiler():
    builder, base = all_of("FROM")
    assert builder.endswith("-devel-ubuntu24.04 AS flash-attn")
    assert base.endswith("-base-ubuntu24.04")
    assert {image.partition("-")[0] for image in (builder, base)} == {"nvidia/cuda:13.0.2"}


def test_flash_attn_2_is_built_as_the_extra_says_and_only_its_wheel_is_kept():
    (extra,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["flash-attn"]
    steps = instructions()
    order = [index for index, (word, _) in enumerate(steps) if word == "FROM"]
    first, last = steps[order[0] : order[1]], steps[order[1] :]
    (build,) = [rest for word, rest in first if word == "RUN" and "pip wheel" in rest]
    assert shlex.split(build)[-1] == extra
    assert "--no-build-isolation" in build
    assert any(word == "RUN" and rest.startswith("pip install -c constraints.txt torch ") for word, rest in first)
    (kept,) = [rest for word, rest in last if word == "COPY" and "--from=flash-attn" in rest]
    built, target = shlex.split(kept)[-2:]
    assert f"--wheel-dir {built} " in build
    assert ("RUN", f"pip install -c constraints.txt {target}/*.whl") in last


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
