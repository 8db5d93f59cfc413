"""Times `hyenaprof --help`, the answer a person waits for most often: median of 10 whole processes.

Run by hand on a quiet machine: `.venv/bin/python benchmarks/startup.py`. The figure in README.md comes from here.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 10
LIMIT_S = 0.2
COMMAND = (str(Path(sys.executable).with_name("hyenaprof")), "--help")


def answer_s() -> float:
    """Seconds from starting the process until it has ended."""
    started_s = time.perf_counter()
    subprocess.run(COMMAND, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started_s


def processor() -> str:
    """The processor's name as Linux gives it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


def main() -> int:
    """Prints the median with its range; the exit code says whether it is within the limit."""
    answer_s()  # the first one fills the page cache and writes the byte code
    times_s = [answer_s() for _ in range(RUNS)]
    median_s = statistics.median(times_s)
    print(f"hyenaprof --help: median {median_s * 1e3:.0f} ms of {RUNS}, {min(times_s) * 1e3:.0f} to", end=" ")
    print(
        f"{max(times_s) * 1e3:.0f} ms, limit {LIMIT_S * 1e3:.0f} ms, on {processor()}, Python {sys.version.split()[0]}"
    )
    return int(median_s > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
