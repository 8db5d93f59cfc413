"""Commands about the machine."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    device: Annotated[str, typer.Option(metavar="DEV", help="auto, cuda, cuda:1 or cpu.")] = "auto",
) -> None:
    """Examine this machine before a serious run: device, clocks, load, allocator, threads, what runs and what does not.

    Says what to change and the install line of whatever is missing; changes nothing itself.
    """
    from rich.console import Console

    from hyenaprof.cli.tables import finding_list, implementation_list
    from hyenaprof.records.scenario import check_device
    from hyenaprof.running.availability import examination

    check_device(device)
    findings, statuses = examination(device)
    console = Console()
    console.print(finding_list(findings))
    console.print(implementation_list(statuses))
