"""Compilers that run while an implementation is built."""

from __future__ import annotations

import os
import shlex
import shutil

from hyenaprof.errors import Unsupported

COMPILERS = ("c++", "g++", "clang++")


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
