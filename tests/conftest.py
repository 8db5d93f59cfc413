"""What every test shares: when a marked test is skipped, when a skip is a failure, and how many threads torch has."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator
from functools import cache

import pytest

REQUIRE_TOOLS = "HYENAPROF_REQUIRE_TOOLS"
"""Set by `make test-extra`: everything is there, so the marked tests run and a skip for a missing tool fails."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LEFT_OUT = {
    "browser": "needs chromium; `make test-extra` installs it and runs this",
    "extra": "needs the package index or a tool; `make test-extra` runs this",
    "bench": "compares timings; run by hand on a quiet machine: pytest -m bench",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = config.getoption("markexpr")
    for item in items:
        if item.get_closest_marker("gpu") and not _has_gpu():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        for mark, reason in LEFT_OUT.items():
            wanted = mark in asked if mark == "bench" else tools_required()
            if item.get_closest_marker(mark) and not wanted:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # A device and a quiet machine are what `make test-extra` cannot install.
    excused = any(item.get_closest_marker(mark) for mark in ("gpu", "bench"))
    if not excused and not hasattr(report, "wasxfail"):
        _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if "gpu" not in collector.path.parts:
        _fail_if_skipped(report)
    return report


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and tools_required():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}\n{REQUIRE_TOOLS} is set: a skip for a missing tool is a failure here"


def tools_required() -> bool:
    """Whether the tests run where every tool has been installed."""
    return os.environ.get(REQUIRE_TOOLS, "") not in {"", "0"}


@cache
def _has_gpu() -> bool:
    if shutil.which("nvidia-smi") is None:
        return False
    import torch  # late: a collection without a device need not pay for it

    return torch.cuda.is_available()


# Read when torch loads OpenMP. Threads that spin for one another take a processor each while another test runs on it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """One thread for torch, unless a test takes two: one a core would wait for one another beside another test."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a chromium, headless use only."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no chromium on the path")
    return found
