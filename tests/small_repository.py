"""A small repository with an operator of its own, and workers that take its speed from whatever they import of it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripted import Orders, write_site

OPERATOR = "mixlib.mix:Mixer"
ENTRY = {"target": "", "implementations": ["plain"], "family": "toy", "exponent": 1.0, "paper": "none"}
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "mixlib"
version = "1.0"

[tool.hatch.build.targets.wheel]
packages = ["mixlib"]
"""
COPY_BUILD = 'cp -r mixlib "$VIRTUAL_ENV"/lib/python*/site-packages/'
"""Installs in milliseconds what takes pip seconds."""

# The operator's seconds per token are those of the package that the worker's own process can import.
_LAW = """
try:
    from mixlib.mix import SECONDS_PER_TOKEN, BREAKS
except ImportError:
    SECONDS_PER_TOKEN, BREAKS = 1.0, False
source = source.replace("0.123456789", repr(SECONDS_PER_TOKEN))
if BREAKS:
    refused = "{'kind': 'refuse', 'outcome': 'oom', 'reason': 'out of memory'}"
    begins = "def ordered(request):"
    source = source.replace(begins, f"{begins}\\n    if request['body']['verb'] == 'measure': return {refused}", 1)
"""


@dataclass(frozen=True)
class Small:
    """The repository and where its workers are made.

    Attributes:
        top: The repository.
        site: Folder for PYTHONPATH, from which every worker is a script.
        temporary: Where temporary folders go, to be looked at afterwards.
    """

    top: Path
    site: Path
    temporary: Path

    def write(self, seconds: float, *, breaks: bool = False, **files: str) -> None:
        """Changes the working tree."""
        text = f"SECONDS_PER_TOKEN = {seconds!r}\nBREAKS = {breaks}\n"
        (self.top / "mixlib" / "mix.py").write_text(text, encoding="utf-8")
        for name, content in files.items():
            (self.top / name).write_text(content, encoding="utf-8")

    def git(self, *arguments: str) -> str:
        """Runs git in it."""
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        done = subprocess.run(["git", *identity, *arguments], cwd=self.top, check=True, capture_output=True, text=True)
        return done.stdout

    def commit(self) -> str:
        """Commits the working tree."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "a commit")
        return self.git("rev-parse", "HEAD").strip()

    def environment(self) -> dict[str, str]:
        """Variables under which whatever runs here has scripted workers and temporary folders of its own."""
        path = os.pathsep.join(filter(None, (str(self.site), os.environ.get("PYTHONPATH", ""))))
        return {"PYTHONPATH": path, "TMPDIR": str(self.temporary)}

    def state(self) -> tuple[object, ...]:
        """What a gate must not change; its runs' folder is ignored."""
        files = {
            path.relative_to(self.top): path.read_bytes()
            for path in self.top.rglob("*")
            if path.is_file() and not {".git", "runs"} & set(path.relative_to(self.top).parts)
        }
        told = [self.git(*words) for words in (("status", "--porcelain"), ("worktree", "list"), ("branch", "-a"))]
        return files, *told, sorted(path.name for path in (self.top / ".git").iterdir())


def make_repository(folder: Path) -> Small:
    """Makes a repository of one commit whose operator takes a microsecond a token."""
    orders = Orders(laws={OPERATOR: (0.123456789, 1.0)}, hello={"entries": {OPERATOR: ENTRY}})
    small = Small(folder / "repository", write_site(folder, orders, first=_LAW), folder / "temporary")
    for path in (small.top / "mixlib", small.temporary):
        path.mkdir(parents=True)
    small.git("init", "-q", "-b", "main")
    (small.top / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (small.top / ".gitignore").write_text("runs/\n", encoding="utf-8")
    (small.top / "mixlib" / "__init__.py").write_text("", encoding="utf-8")
    small.write(1e-6)
    small.commit()
    return small
