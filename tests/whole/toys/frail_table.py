"""The table lines of somebody's package: one operator that is sound, and one whose implementations fail."""

from __future__ import annotations

from hyenaprof.operators import OperatorEntry

SOUND = OperatorEntry(
    target="frail:Linear", implementations=("plain",), family="toy", exponent=1.0, paper="none, a toy of the tests"
)
FRAIL = OperatorEntry(
    target="frail:Frail",
    implementations=("plain", "by_length", "hungry", "late_gradient", "poisons", "aborts"),
    family="toy",
    exponent=1.0,
    paper="none, a toy of the tests",
)
