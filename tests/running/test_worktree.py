from __future__ import annotations

import os
import signal
import subprocess

import pytest

from hyenaprof.errors import GateError
from hyenaprof.running.worktree import repository_here, two_trees, uninterrupted


def git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Two commits of a package in a folder of its own, and a tree with changes, new files and ignored ones."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    top = tmp_path / "repository"
    (top / "kernels" / "mixlib").mkdir(parents=True)
    git(top, "init", "-q", "-b", "main")
    (top / ".gitignore").write_text("built/\n", encoding="utf-8")
    (top / "kernels" / "pyproject.toml").write_text("", encoding="utf-8")
    module = top / "kernels" / "mixlib" / "mix.py"
    for number in (1, 2):
        module.write_text(f"commit = {number}\n", encoding="utf-8")
        (top / "gone.py").write_text("", encoding="utf-8")
        git(top, "add", "-A")
        git(top, "commit", "-q", "-m", f"commit {number}")
    module.write_text("commit = 'none yet'\n", encoding="utf-8")
    (top / "kernels" / "mixlib" / "new one.py").write_text("", encoding="utf-8")
    (top / "gone.py").unlink()
    (top / "built").mkdir()
    (top / "built" / "kernel.so").write_text("", encoding="utf-8")
    return top


def state(top):
    files = {
        path.relative_to(top): path.read_bytes()
        for path in top.rglob("*")
        if ".git" not in path.parts and path.is_file()
    }
    return files, git(top, "status", "--porcelain", "--ignored"), git(top, "worktree", "list"), git(top, "branch", "-a")


def test_the_package_is_the_nearest_folder_that_can_be_built(repository):
    found = repository_here(repository / "kernels" / "mixlib")
    assert (found.top, found.package) == (repository, repository / "kernels")
    assert found.is_buildable
    assert repository_here(repository / "built").package == repository
    assert not repository_here(repository).is_buildable


def test_two_trees_hold_the_commit_and_the_working_tree_as_it_is(repository):
    before = state(repository)
    found = repository_here(repository)
    with two_trees(found, found.commit("main~1")) as (folder, base, candidate):
        assert (base / "kernels" / "mixlib" / "mix.py").read_text() == "commit = 1\n"
        assert (candidate / "kernels" / "mixlib" / "mix.py").read_text() == "commit = 'none yet'\n"
        assert (base / "gone.py").exists()
        assert not (candidate / "gone.py").exists()
        assert (candidate / "kernels" / "mixlib" / "new one.py").exists()
        assert not (candidate / "built").exists()
        assert git(candidate, "rev-parse", "HEAD") == git(repository, "rev-parse", "HEAD")
        (candidate / "kernels" / "left by a build").write_text("", encoding="utf-8")
    assert not folder.exists()
    assert state(repository) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_whatever_ends_it(repository, error):
    before = state(repository)
    found = repository_here(repository)
    with pytest.raises(error), two_trees(found, found.commit("main")) as (folder, _, _):
        raise error
    assert not folder.exists()
    assert state(repository) == before


def test_a_ctrl_c_while_the_trees_are_removed_waits_until_they_are(repository, tmp_path):
    before = state(repository)
    found = repository_here(repository)
    ended = []

    def interrupted_at_once():
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            with two_trees(found, found.commit("main")):
                pass
            ended.append("through")

    with pytest.raises(KeyboardInterrupt):
        interrupted_at_once()
    assert ended == ["through"]
    assert state(repository) == before
    assert list((tmp_path / "temporary").iterdir()) == []


def test_the_variables_that_git_sets_for_a_hook_lead_nowhere_else(repository, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    assert repository_here(repository).top == repository


def test_a_hook_of_the_repository_does_not_run_in_the_trees(repository, tmp_path):
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n", encoding="utf-8")
    hook.chmod(0o755)
    found = repository_here(repository)
    with two_trees(found, found.commit("main")):
        pass
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("ref", ["nowhere", "--help", "", "main:gone.py"])
def test_what_names_no_commit_is_refused(repository, ref):
    with pytest.raises(GateError, match="names no commit here"):
        repository_here(repository).commit(ref)


def test_a_folder_outside_any_repository_is_refused(tmp_path):
    with pytest.raises(GateError, match="not a git repository"):
        repository_here(tmp_path)


def test_a_machine_without_git_is_told_so(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GateError, match="git cannot be run"):
        repository_here(repository)
