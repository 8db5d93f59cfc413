"""Compilers that run while an implementation is built: C++ from the system, and torch.compile in full or not at all."""

from __future__ import annotations

import os
import shlex
import shutil
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from hyenaprof.errors import Unsupported
from hyenaprof.operators.packages import first_line

P = ParamSpec("P")
R = TypeVar("R")

COMPILERS = ("c++", "g++", "clang++")
VERSIONS = 1024
"""Of one function in one process; torch's own limit of 8 is reached by the lengths of a common sweep."""


def cxx_compiler() -> list[str]:
    """The command of the C++ compiler, in words: $CXX, which may have arguments, else the first that is there.

    Raises:
        Unsupported: No compiler, or a $CXX that is no command.
    """
    given = os.environ.get("CXX", "")
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise Unsupported(f"$CXX is no command: {given!r}: {error}") from error
    found = words or [name for name in COMPILERS if shutil.which(name)][:1]
    if not found:
        raise Unsupported(f"no C++ compiler: neither $CXX nor {', '.join(COMPILERS)} is there")
    return found


def compiled_whole(function: Callable[P, R], *, dynamic: bool) -> Callable[P, R]:
    """torch.compile of all of a function, for each problem that it meets: the function as written never runs.

    Args:
        function: What to compile; all that is compiled from one function counts against one limit.
        dynamic: Whether sizes stay symbols, so that another size is not another version.

    Returns:
        The compiled function. It raises Unsupported, in torch's words, where the compiler refuses or has made VERSIONS.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's compiler warns of its own imports
        import torch
        from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    limit_compiler()
    compiled = torch.compile(function, fullgraph=True, dynamic=dynamic)

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return compiled(*args, **kwargs)
        except FailOnRecompileLimitHit as error:  # not a TorchDynamoException
            raise Unsupported(f"torch.compile makes no more than {VERSIONS} versions of a function") from error
        except (TorchDynamoException, NotImplementedError) as error:
            raise Unsupported(f"torch.compile refuses: {first_line(error)}") from error

    return call


def limit_compiler() -> None:
    """Sets up torch's compiler, for this thread: VERSIONS of a function, an error beyond, and no pool of processes."""
    from torch._dynamo import config as dynamo
    from torch._inductor import config as inductor

    # Past its limit torch runs the function as written and says so in a log alone: that would be timed as compiled.
    name = "recompile_limit" if hasattr(dynamo, "recompile_limit") else "cache_size_limit"
    for setting, value in (
        (name, VERSIONS),
        (f"accumulated_{name}", VERSIONS),
        ("fail_on_recompile_limit_hit", True),
    ):
        if hasattr(dynamo, setting):
            setattr(dynamo, setting, value)
    inductor.compile_threads = 1  # its pool of processes would stay beside what is measured
