import math
import warnings

import pytest
import torch
from libraries import broken, plant

from hyenaprof.errors import Unsupported
from hyenaprof.operators.packages import PackageRefused, function_of, refuse_all_but_cuda, refuse_what_it_refuses


def test_a_function_of_a_library_that_is_there_is_that_function():
    assert function_of("math", "sqrt") is math.sqrt


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.inner"])
def test_an_absent_library_is_refused_in_the_imports_words(module):
    with pytest.raises(PackageRefused, match=r"^No module named 'no_such_library'$"):
        function_of(module, "attend")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ImportError("kernels.so: undefined symbol: _ZN3c10"),
            r"^kernels cannot be imported: kernels?\.so.*$|undefined",
        ),
        (OSError("libcudart.so.12: cannot open shared object file"), "libcudart.so.12: cannot open"),
        (
            RuntimeError("built for CUDA 12.4\nmore"),
            r"^kernels cannot be imported: built for CUDA 12.4 \(RuntimeError\)$",
        ),
        (AttributeError("module 'torch' has no attribute 'x'"), r"no attribute 'x' \(AttributeError\)$"),
    ],
)
def test_a_broken_library_is_unsupported_and_says_what_its_import_said(error, said):
    with broken("kernels", error), pytest.raises(Unsupported, match=said):
        function_of("kernels", "attend")


def test_a_library_without_the_name_is_refused(monkeypatch):
    plant(monkeypatch, "kernels")
    with pytest.raises(PackageRefused, match="cannot import name 'attend' from 'kernels'"):
        function_of("kernels", "attend")


def test_another_fault_of_an_import_is_no_refusal():
    with broken("kernels", ZeroDivisionError("a bug")), pytest.raises(ZeroDivisionError):
        function_of("kernels", "attend")


def test_a_refusal_keeps_the_first_line_of_the_error_and_of_each_warning():
    def refuse():
        warnings.warn("Flash attention requires half or bfloat16", stacklevel=1)
        raise RuntimeError("No available kernel. Aborting execution.\nmore")

    with pytest.raises(Unsupported) as caught:
        refuse_what_it_refuses(refuse)
    assert str(caught.value) == "No available kernel. Aborting execution.; Flash attention requires half or bfloat16"


def test_a_refusal_without_words_is_named_by_its_kind():
    def refuse():
        raise AssertionError

    with pytest.raises(Unsupported, match=r"^AssertionError$"):
        refuse_what_it_refuses(refuse)


def test_a_kernel_for_which_memory_is_short_is_not_called_unsupported():
    def starved():
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        refuse_what_it_refuses(starved)


def test_a_kernel_that_runs_is_not_refused_and_its_warnings_are_nobodys():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        refuse_what_it_refuses(lambda: warnings.warn("slow here", stacklevel=1))
    assert told == []


def test_only_cuda_is_let_through():
    refuse_all_but_cuda("fa2", torch.device("cuda", 0))
    with pytest.raises(Unsupported, match="fa2 has kernels for CUDA alone, none for cpu"):
        refuse_all_but_cuda("fa2", torch.device("cpu"))
