from __future__ import annotations

from dataclasses import replace

import builders
import pytest

from hyenaprof.model import Outcome, Phase
from hyenaprof.report.answer import sentences
from hyenaprof.report.findings import find


def test_the_pair_of_the_scenario_s_first_operators_comes_first_in_all_phases() -> None:
    records = builders.make_records(("attention", "flash", "hyena"), phases=(Phase.FORWARD, Phase.TRAINING), rounds=2)
    found = find(builders.make_run(records)).crossovers()
    assert [(str(panel.setting.phase), x.challenger.operator, x.incumbent.operator) for panel, x in found] == [
        ("forward", "hyena", "flash"),
        ("training", "hyena", "flash"),
        ("forward", "hyena", "attention"),
        ("training", "hyena", "attention"),
        ("forward", "flash", "attention"),
        ("training", "flash", "attention"),
    ]


def test_a_sentence_names_its_pair_only_where_there_are_several() -> None:
    forward = (Phase.FORWARD,)
    two = sentences(find(builders.make_run(builders.make_records(phases=forward))))
    three = sentences(find(builders.make_run(builders.make_records(("hyena", "flash", "attention"), phases=forward))))
    assert two[0].startswith("forward: hyena overtakes flash")
    assert three[0].startswith("forward, hyena against flash: hyena overtakes flash")


def test_a_failed_point_has_no_summary_and_keeps_its_prediction() -> None:
    failed = builders.make_failure(builders.make_point(), Outcome.TIMEOUT, "60 s", predicted_s=70.0)
    (finding,) = find(builders.make_run([failed])).points
    assert finding.summary is None
    assert finding.predicted_s == 70.0


def test_a_prediction_is_dropped_once_the_point_is_measured() -> None:
    record = replace(builders.make_record(builders.make_point(), 1e-3), predicted_s=9.0)
    (finding,) = find(builders.make_run([record])).points
    assert finding.summary
    assert finding.summary.median_s == pytest.approx(1e-3)
    assert finding.predicted_s is None
