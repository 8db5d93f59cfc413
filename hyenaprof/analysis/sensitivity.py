"""How sensitive a crossover is to kernels and hardware: pairs of implementations against devices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hyenaprof.analysis.crossover import Metric, find_all
from hyenaprof.model import Crossover, CrossoverState, Curve, Record
from hyenaprof.units import UNKNOWN


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """One pair in one setting, on every device.

    Attributes:
        challenger: Its curve, on whichever device came first.
        incumbent: Likewise.
        found: Crossover by device; a device that did not measure the pair is left out.
    """

    challenger: Curve
    incumbent: Curve
    found: Mapping[str, Crossover]

    def cells(self, devices: Iterable[str]) -> tuple[str, ...]:
        """The crossover on each device in a few signs."""
        return tuple(in_short(self.found[device]) if device in self.found else UNKNOWN for device in devices)

    @property
    def spread(self) -> float | None:
        """Largest over smallest resolved crossover length; None below two."""
        lengths = [x.flips[0].length for x in self.found.values() if x.state is CrossoverState.RESOLVED]
        return max(lengths) / min(lengths) if len(lengths) > 1 else None


def sensitivity(machines: Mapping[str, Iterable[Record]], *, metric: Metric = "latency") -> tuple[SensitivityRow, ...]:
    """One row a pair of implementations and setting, one crossover a device.

    Args:
        machines: Records by the name of the device they were measured on.
        metric: What the sides are compared in.

    Returns:
        Rows in the order in which the pairs first appear, the same pair on several devices in one row.
    """
    return side_by_side({device: find_all(records, metric=metric) for device, records in machines.items()})


def side_by_side(devices: Mapping[str, Iterable[Crossover]]) -> tuple[SensitivityRow, ...]:
    """The same of crossovers that were found already, by the name of the device.

    Args:
        devices: Crossovers by the name of the device they were measured on.
    """
    rows: dict[tuple[object, ...], dict[str, Crossover]] = defaultdict(dict)
    for device, crossovers in devices.items():
        for crossover in crossovers:
            rows[_pair(crossover)][device] = crossover
    return tuple(
        SensitivityRow(first.challenger, first.incumbent, found)
        for found in rows.values()
        for first in (next(iter(found.values())),)
    )


def _pair(crossover: Crossover) -> tuple[object, ...]:
    """What makes two crossovers the same question on two devices: everything but device and dtype."""
    one = crossover.challenger
    return (one.label, crossover.incumbent.label, one.scope, one.phase, one.batch, one.width, one.heads)


def in_short(crossover: Crossover) -> str:
    """A crossover in a few signs: `1490 [1430, 1560]`, `> 131072` where the incumbent leads, `< 1024`, `=`, `?`."""
    low, high = crossover.range or (0, 0)
    match crossover.state:
        case CrossoverState.RESOLVED | CrossoverState.SEVERAL:
            return ", ".join(_flip_in_short(crossover, index) for index in range(len(crossover.flips)))
        case CrossoverState.NONE_IN_RANGE | CrossoverState.CENSORED:
            return f"< {low}" if crossover.winner == crossover.challenger.label else f"> {high}"
        case CrossoverState.EQUAL:
            return "="
        case CrossoverState.UNRESOLVED:
            return "?"
        case _:
            return UNKNOWN


def _flip_in_short(crossover: Crossover, index: int) -> str:
    flip = crossover.flips[index]
    back = "" if flip.leader_after == crossover.challenger.label else "back at "
    interval = "" if flip.low is None or flip.high is None else f" [{flip.low:.0f}, {flip.high:.0f}]"
    return f"{back}{flip.length:.0f}{interval}"
