"""What the three charts over length share."""

from __future__ import annotations

from collections.abc import Callable

import builders
import pytest

from hyenaprof.model import Phase, Section
from hyenaprof.report import charts, memory_chart, speedup_chart, time_chart
from hyenaprof.report.findings import Findings, find

CHARTS = {"time": time_chart.time, "memory": memory_chart.memory, "speed-up": speedup_chart.speedup}


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize(("drawn", "said"), [(2, []), (1, ["1 more setting is not drawn"])])
def test_a_chart_says_how_many_settings_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch, name: str, drawn: int, said: list[str]
) -> None:
    for module in (charts, time_chart, memory_chart, speedup_chart):
        monkeypatch.setattr(module, "DRAWN", drawn)
    records = builders.make_records(lengths=(1024, 2048), phases=(Phase.FORWARD, Phase.TRAINING), rounds=2)
    chart: Callable[[Findings], Section | None] = CHARTS[name]
    section = chart(find(builders.make_run(records)))
    assert section
    assert len(section.figures) == drawn
    assert [text.partition(";")[0] for text in section.paragraphs if "not drawn" in text] == said
