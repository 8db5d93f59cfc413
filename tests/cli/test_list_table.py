"""Tables of the commands that show what could be measured."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hyenaprof.cli.tables import implementation_list
from hyenaprof.operators import OPERATORS
from hyenaprof.pipe import ImplementationStatus


def status(operator: str, implementation: str, reason: str | None = None, install: str | None = None):
    return ImplementationStatus(
        operator=operator, implementation=implementation, available=reason is None, reason=reason, install=install
    )


def listed(*statuses: ImplementationStatus, options: bool = False) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=120, color_system=None).print(implementation_list(statuses, options=options))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(("operator", "growth"), [("hyena", "L log L"), ("flash", "L^2"), ("attention", "L^2")])
def test_the_list_states_family_paper_and_how_time_grows(operator: str, growth: str) -> None:
    family, line, here = listed(status(operator, "plain"))
    entry = OPERATORS[operator]
    assert family.strip() == entry.family
    assert line.split(None, 1) == [operator, f"time grows as {growth}; {entry.paper}"]
    assert here.split() == ["runs", "here", f"{operator}:plain"]


def test_operators_of_one_family_stand_together_and_each_reason_is_said_once() -> None:
    cuda = "kernels for CUDA alone"
    lines = listed(
        status("flash", "sdpa"),
        status("flash", "fa2", cuda),
        status("hyena", "fft"),
        status("hyena", "subq", cuda),
        status("hyena", "fla", "No module named 'fla'", "pip install fla-core"),
        status("attention", "math"),
    )
    assert [line for line in lines if line and not line.startswith(" ")] == ["attention", "long convolution", "why not"]
    assert lines[-4:] == [
        "why not",
        f"  flash:fa2, hyena:subq: {cuda}",
        "  hyena:fla: No module named 'fla'",
        "    install: pip install fla-core",
    ]


def test_options_are_shown_with_what_they_may_be() -> None:
    text = " ".join(" ".join(listed(status("hyena", "fft"), options=True)).split())
    for shown in ("order=2 (2 to 64)", "window=true (or false)", "filter=recomputed (or cached)"):
        assert shown in text
    assert "order=2" not in " ".join(listed(status("hyena", "fft")))
