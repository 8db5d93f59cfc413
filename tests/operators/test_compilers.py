from functools import partial

import pytest
import torch

from hyenaprof.errors import Unsupported
from hyenaprof.operators import compilers


def test_the_compiler_of_the_environment_may_have_arguments(monkeypatch):
    monkeypatch.setenv("CXX", "ccache 'my g++'")
    assert compilers.cxx_compiler() == ["ccache", "my g++"]


def test_an_open_quote_in_the_environment_is_unsupported(monkeypatch):
    monkeypatch.setenv("CXX", "ccache 'g++")
    with pytest.raises(Unsupported, match=r"^\$CXX is no command: .*No closing quotation"):
        compilers.cxx_compiler()


@pytest.mark.parametrize("given", [None, "", "  "])
@pytest.mark.parametrize("name", ["c++", "g++", "clang++"])
def test_without_a_word_in_the_environment_it_is_the_one_that_is_there(monkeypatch, tmp_path, given, name):
    tmp_path.joinpath(name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if given is None:
        monkeypatch.delenv("CXX", raising=False)
    else:
        monkeypatch.setenv("CXX", given)
    assert compilers.cxx_compiler() == [name]


@pytest.fixture
def set_back():
    """Torch's compiler as it was, with nothing compiled."""
    torch.compiler.reset()
    with torch._dynamo.config.patch(recompile_limit=8, accumulated_recompile_limit=256):
        yield
    torch.compiler.reset()


@pytest.mark.usefixtures("set_back")
def test_past_the_limit_a_function_is_unsupported_and_not_run_as_written(monkeypatch):
    monkeypatch.setattr(compilers, "VERSIONS", 2)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    doubled = compilers.compiled_whole(lambda x: x + x, dynamic=False)
    assert [doubled(torch.ones(length)).sum() for length in (2, 3)] == [4, 6]
    with pytest.raises(Unsupported, match="no more than 2 versions"):
        doubled(torch.ones(4))


@pytest.mark.usefixtures("set_back")
def test_what_cannot_be_compiled_whole_is_unsupported(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    branching = compilers.compiled_whole(lambda x: x if x.sum() > 0 else -x, dynamic=False)
    with pytest.raises(Unsupported, match=r"^torch\.compile refuses: "):
        branching(torch.ones(3))


def test_torchs_compiler_makes_no_processes_of_its_own():
    from torch._inductor import config

    with config.patch(compile_threads=4):
        compilers.compiled_whole(torch.sin, dynamic=False)
        assert config.compile_threads == 1
