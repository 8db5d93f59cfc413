import pytest

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
