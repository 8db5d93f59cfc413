from __future__ import annotations

from pathlib import Path

import builders
from planted import HOSTILE, planted

from hyenaprof.model import Phase
from hyenaprof.report.latex import booktabs, escape, write_latex


def test_a_table_holds_medians_ratios_and_failures() -> None:
    records = [
        *builders.make_records(lengths=(1024,), phases=(Phase.FORWARD,), noise=0.0, within_noise=0.0),
        builders.make_failure(builders.make_point("flash", 2048)),
    ]
    assert booktabs(builders.make_run(records)).splitlines() == [
        "% forward of the layer, float32, B=1 D=768 H=12, on Example CPU; median [95 % interval], ratio of times",
        r"\begin{tabular}{rrrr}",
        r"\toprule",
        r"$L$ & hyena & flash & hyena against flash \\",
        r"\midrule",
        r"1k & 707 us [707, 707] & 250 us [250, 250] & 0.354x [0.354, 0.354] \\",
        r"2k & -- & out of memory & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_signs_that_mean_something_to_latex_are_printed() -> None:
    assert escape("50 % & $x_1$ {#} ~ \\ ^") == (r"50 \% \& \$x\_1\$ \{\#\} $\sim$ \textbackslash{} \textasciicircum{}")


def test_a_label_can_neither_leave_its_cell_nor_its_comment(tmp_path: Path) -> None:
    text = write_latex(planted(HOSTILE + "\n\\input{x}&"), tmp_path / "table.tex").read_text(encoding="utf-8")
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert not any(line.startswith(r"\input") for line in text.splitlines())
    assert all(r"\input" not in line for line in body)
    assert {line.count(" & ") for line in body if line.endswith(r"\\")} == {1}
