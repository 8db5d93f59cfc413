"""The environment variables a worker is started with: allocator, compiler and threads, set before its libraries load."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Allocator = Literal["warm", "default"]

_NEVER_TRIM_BYTES = 2**46
"""More than any machine has: freed memory stays with the process until the worker itself gives it back."""


def worker_environment(allocator: Allocator, threads: int | None) -> dict[str, str]:
    """Gives the variables to add to a worker's environment.

    Args:
        allocator: `warm` keeps freed pages in the process. glibc's own setting maps every tensor above 32 MiB afresh
            and faults its pages in again on each call, 1.7x on a plain Hyena at 32k; `default` leaves it so.
        threads: Threads of OpenMP and MKL, None for the libraries' own choice.

    Returns:
        Variables for glibc's malloc, torch's compiler, OpenMP and the thread count. torch.compile by default starts a pool
        of a process a core, each of which imports torch, beside what is timed then: here it compiles in the worker itself,
        whatever operator calls it. Intel's OpenMP spins for 200 ms after a parallel
        region, into the other side's visit: 5 ms are enough. GNU's goes to sleep within a millisecond or so and is left
        alone: OMP_WAIT_POLICY=PASSIVE made a region of 70 us take 140 us (2 threads of an EPYC).
    """
    variables = {"KMP_BLOCKTIME": "5", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    if allocator == "warm":
        variables |= {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(_NEVER_TRIM_BYTES)}
    if threads is not None:
        variables |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return variables


def importable(*, own: bool = True) -> dict[str, str]:
    """This process's environment for a worker; an uninstalled checkout is made importable in it.

    Args:
        own: Whether the worker runs in this interpreter; into another one our site-packages never cross over.
    """
    environment = dict(os.environ)
    home = Path(__file__).parents[1]
    if own or home.name not in {"site-packages", "dist-packages"}:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(home), os.environ.get("PYTHONPATH"))))
    return environment


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A python executable, and where a worker that it runs imports from before all else.

    The folder in which a command is given is not among it: there the working tree would stand in for what was installed.

    Attributes:
        python: The executable.
        first: Folders that come before those of PYTHONPATH and the executable's own.
        without: A folder whose content PYTHONPATH must not bring in, or None.
        variables: What is set beside, as (name, value).
    """

    python: str
    first: tuple[str, ...] = ()
    without: str | None = None
    variables: tuple[tuple[str, str], ...] = ()

    def environment(self) -> dict[str, str]:
        """This process's environment for a worker that imports as described."""
        entries = [str(Path(entry).resolve()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
        kept = [entry for entry in entries if self.without is None or not Path(entry).is_relative_to(self.without)]
        path = os.pathsep.join([*self.first, *kept])
        return {**os.environ, **dict(self.variables), "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def allocator_in_use() -> Literal["warm", "default", "custom"]:
    """Which setting this process runs under; `custom` where its environment says something else to malloc."""
    told = {name for name in os.environ if name.startswith("MALLOC_")} | ({"LD_PRELOAD"} & set(os.environ))
    if not told:
        return "default"
    warm = os.environ.get("MALLOC_MMAP_MAX_") == "0" and "MALLOC_TRIM_THRESHOLD_" in told
    return "warm" if warm and "LD_PRELOAD" not in told else "custom"
