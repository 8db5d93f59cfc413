"""Libraries that hyenaprof does not depend on: imported when an implementation is built, or refused in their own words."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from hyenaprof.errors import Unsupported


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


def _words(module: str, error: Exception) -> str:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return said if module.partition(".")[0] in said else f"{module} cannot be imported: {said}"
