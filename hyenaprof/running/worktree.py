"""Two states of a repository side by side: a commit and the working tree as it is, each in a worktree that goes again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hyenaprof.errors import GateError

_OF_ANOTHER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
"""Set by git for the hooks that it runs: they would send us to another tree."""
_PROJECT_FILES = ("pyproject.toml", "setup.py")


@dataclass(frozen=True, slots=True)
class Repository:
    """The git repository that a command is given in.

    Attributes:
        top: Its working tree.
        package: The folder in it that holds the package: the nearest with a pyproject.toml or setup.py, else the top.
    """

    top: Path
    package: Path

    @property
    def is_buildable(self) -> bool:
        """Whether the package's folder says how it is built."""
        return any((self.package / name).is_file() for name in _PROJECT_FILES)

    def commit(self, ref: str) -> str:
        """The commit, in full, that a branch, tag or anything else names.

        Raises:
            GateError: It names none here.
        """
        found = git(self.top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if found.returncode:
            raise GateError(
                f"--against {ref!r} names no commit here",
                hint="fetch it first, as `git fetch origin main`; in a GitHub workflow check out with fetch-depth: 0",
            )
        return found.stdout.strip()


def repository_here(folder: Path | None = None) -> Repository:
    """The repository around a folder, the current one unless another is named.

    Raises:
        GateError: There is none, or no git.
    """
    start = (folder or Path.cwd()).resolve()
    found = git(start, "rev-parse", "--show-toplevel")
    if found.returncode or not found.stdout.strip():
        raise GateError(
            "this is not a git repository's working tree",
            hint="run it in the repository whose commits are compared, or give --python A=PATH --python B=PATH",
        )
    top = Path(found.stdout.strip()).resolve()
    above = [folder for folder in (start, *start.parents) if folder.is_relative_to(top)]
    package = next((f for f in above if any((f / name).is_file() for name in _PROJECT_FILES)), top)
    return Repository(top, package)


@contextmanager
def two_trees(repository: Repository, commit: str) -> Iterator[tuple[Path, Path, Path]]:
    """Makes a worktree of a commit and one of the working tree as it is: changed and new files too, ignored ones not.

    The repository's own tree and index are not touched. Both worktrees, git's notes of them and the folder are gone
    afterwards, whatever ends it.

    Yields:
        A temporary folder, and in it the commit's tree and the working tree's.

    Raises:
        GateError: git cannot make them.
    """
    folder = Path(tempfile.mkdtemp(prefix="hyenaprof-gate-")).resolve()
    base, candidate = folder / "base" / "tree", folder / "candidate" / "tree"
    try:
        with uninterrupted():
            _add(repository, base, commit)
            _add(repository, candidate, "HEAD")
            _as_it_is(repository, candidate)
        yield folder, base, candidate
    finally:
        with uninterrupted():
            _remove(repository, folder, (base, candidate))


def _add(repository: Repository, tree: Path, commit: str) -> None:
    # No hooks: what a repository does after a checkout is meant for the tree that people work in.
    done = git(repository.top, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--detach", str(tree), commit)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise GateError(f"git cannot make a worktree of {commit[:10]}: {said}", hint="try `git worktree add` by hand")


def _as_it_is(repository: Repository, tree: Path) -> None:
    """Brings a worktree of HEAD to the state of the working tree."""
    top = repository.top
    changed = _named(top, "diff", "--name-only", "--no-renames", "--ignore-submodules", "-z", "HEAD")
    new = _named(top, "ls-files", "--others", "--exclude-standard", "-z")
    for name in (*changed, *new):
        source, target = top / name, tree / name
        if name.endswith("/"):  # a repository inside this one
            continue
        target.unlink(missing_ok=True)
        if os.path.lexists(source):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def _named(top: Path, *arguments: str) -> list[str]:
    done = git(top, *arguments)
    if done.returncode:
        raise GateError(f"git {arguments[0]} failed: {done.stderr.strip()}", hint="is there a first commit?")
    return [name for name in done.stdout.split("\0") if name]


def _remove(repository: Repository, folder: Path, trees: tuple[Path, ...]) -> None:
    removed = [git(repository.top, "worktree", "remove", "--force", "--force", str(tree)) for tree in trees]
    shutil.rmtree(folder, ignore_errors=True)
    if any(done.returncode for done in removed):
        git(repository.top, "worktree", "prune")


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs git in a folder, out of reach of the terminal's Ctrl-C.

    Raises:
        GateError: There is no git.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env={**environment, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise GateError(
            f"git cannot be run: {error.strerror}", hint="install git, or give --python A= and B="
        ) from None


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds Ctrl-C and a request to end back until the block is through.

    Raises:
        KeyboardInterrupt: Afterwards, where one of them came.
    """
    held: list[int] = []
    with ExitStack() as undone:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            before = signal.signal(number, lambda came, _: held.append(came))
            undone.callback(signal.signal, number, before)
        yield
    if held:
        raise KeyboardInterrupt
