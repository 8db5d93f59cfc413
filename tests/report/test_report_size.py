from __future__ import annotations

import time
from pathlib import Path

import builders

from hyenaprof.report.render import render

LENGTHS = tuple(2**power for power in range(6, 17))


def test_ten_thousand_visits_render_in_ten_seconds_of_processor_and_under_5_mb(tmp_path: Path) -> None:
    records = [
        record
        for width in range(64, 576, 64)
        for record in builders.make_records(lengths=LENGTHS, rounds=20, width=width, heads=1)
    ]
    run = builders.make_run(records)
    assert sum(len(record.visits) for record in run.records) == 10_560
    started_s = time.process_time()  # what others do on the machine is not held against us
    _, page = render(run, into=tmp_path)
    assert time.process_time() - started_s < 10
    assert page.stat().st_size < 5e6
    assert page.read_text(encoding="utf-8").count('<svg class="strip"') == len(records) == 528
