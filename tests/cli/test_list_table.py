"""Tables of the commands that show what could be measured."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hyenaprof.cli.tables import implementation_list
from hyenaprof.operators import OPERATORS
from hyenaprof.pipe import ImplementationStatus


@pytest.mark.parametrize(("operator", "growth"), [("hyena", "L log L"), ("flash", "L^2"), ("attention", "L^2")])
def test_the_list_states_how_time_grows_as_it_does(operator: str, growth: str) -> None:
    status = ImplementationStatus(
        operator=operator, implementation=OPERATORS[operator].implementations[0], available=True
    )
    out = io.StringIO()
    Console(file=out, width=120, color_system=None).print(implementation_list([status]))
    assert out.getvalue().splitlines()[0] == f"{operator}  {OPERATORS[operator].family}, time grows as {growth}"
