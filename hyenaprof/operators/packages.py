"""Libraries that hyenaprof does not depend on: imported when an implementation is built, or refused in their own words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch

from hyenaprof.errors import Unsupported

_SAYS_NO = (RuntimeError, AssertionError, ValueError, TypeError)
"""How kernels refuse a problem: C++ checks by RuntimeError, Python by assertions and wrong values."""


class PackageRefused(Unsupported):
    """A library that is not installed, or whose import fails; the text is what the import said."""


def function_of(module: str, name: str) -> Callable[..., Any]:  # -> Any: what somebody's library returns is theirs
    """Imports a function or class of a library.

    Raises:
        PackageRefused: The library is absent, broken, or has no such name.
    """
    found: Callable[..., Any] | None = getattr(_imported(module), name, None)
    if found is None:
        raise PackageRefused(f"cannot import name {name!r} from {module!r}")
    return found


def _imported(module: str) -> Any:  # noqa: ANN401 -- somebody's module
    try:
        return import_module(module)
    except ImportError as error:
        raise PackageRefused(_words(module, error)) from error
    except (OSError, RuntimeError, AttributeError) as error:
        # Found but broken: built for another torch, CUDA or machine, a library says so while it is imported, and not
        # always by an ImportError. To the user it is one thing, so it is `unsupported` too and not a crash.
        raise PackageRefused(f"{_words(module, error)} ({type(error).__name__})") from error


def first_line(error: Exception) -> str:
    """The first line of an error that says something, else its kind."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _words(module: str, error: Exception) -> str:
    said = first_line(error)
    return said if module.partition(".")[0] in said else f"{module} cannot be imported: {said}"


def refuse_all_but_cuda(implementation: str, device: torch.device) -> None:
    """Raises where there is no GPU: a package need not be installed to know that it would not run.

    Raises:
        Unsupported: The device is no CUDA device.
    """
    if device.type != "cuda":
        raise Unsupported(f"{implementation} has kernels for CUDA alone, none for {device.type}")


def refuse_what_it_refuses(trial: Callable[[], object]) -> None:
    """Tries a kernel on a small problem; a refusal keeps its own words, and those that torch gives as warnings.

    Raises:
        Unsupported: The kernel refused.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            trial()
        except torch.OutOfMemoryError:
            raise
        except _SAYS_NO as error:
            words = [str(error).strip() or type(error).__name__, *(str(warning.message).strip() for warning in said)]
            raise Unsupported("; ".join(word.partition("\n")[0] for word in words)) from error
