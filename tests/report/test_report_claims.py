from __future__ import annotations

import builders
import pytest

from hyenaprof.analysis.claims import ClaimsFile, Verdict, load_claims
from hyenaprof.model import Cell, Phase, Record, Section, Table
from hyenaprof.report.claims import claims, judge
from hyenaprof.report.findings import find
from hyenaprof.resources import claims_files


def section_of(records: object = None) -> Section:
    made = claims(find(builders.make_run(records)))
    assert made is not None
    return made


def by_title(section: Section) -> dict[str, Table]:
    return {table.header[0]: table for table in section.tables}


def test_verdicts_stand_one_a_claim_with_every_settings_value() -> None:
    rows = {row[1]: row for row in by_title(section_of())["Source"].rows}
    row = rows["Hyena overtakes FlashAttention between 2K and 4K."]
    assert row[0] == "course-note"
    assert row[3] == Cell("reproduced", tone="good")
    assert [part.split()[0] for part in str(row[4]).split("; ")] == ["forward", "backward", "training"]
    assert row[5] == "within 2048 to 4096"


def test_a_claim_that_is_contradicted_is_called_so_and_counted() -> None:
    section = section_of()
    row = next(row for row in by_title(section)["Source"].rows if row[0] == "hyena-blog")
    assert row[3] == Cell("not reproduced", tone="bad")
    assert row[5] == "outside 5100 to 6900"
    answered, refused = section.paragraphs
    assert answered.startswith(
        "4 published claims can be held against this run; 1 of them is not reproduced in at least"
    )
    assert refused.startswith("13 published claims cannot be compared with this run")


def test_each_reason_stands_once_with_the_claims_it_keeps_out() -> None:
    rows = dict(by_title(section_of())["Not comparable because"].rows)
    assert rows["stated batch 64, measured with 1"] == (
        "hyena-fig4.3 flash-at-8k, hyena-fig4.3 flash-at-64k, hyena-fig4.3 crossover-flash, hyena-paper crossover-flash"
    )
    assert len(rows) < 8


def test_every_shipped_claim_is_in_one_table_or_the_other() -> None:
    section = section_of()
    files = [load_claims(path) for path in claims_files().values()]
    kept_out = sum(str(names).count(", ") + 1 for _, names in by_title(section)["Not comparable because"].rows)
    answered = {(row[0], row[1]) for row in by_title(section)["Source"].rows}
    assert kept_out + len(answered) == sum(len(file.claims) for file in files)


@pytest.mark.parametrize(
    "records",
    [
        [],
        [builders.make_record(builders.make_point("mine", implementation="a"))],
        [builders.make_record(builders.make_point("flash"))],
    ],
    ids=["nothing", "an operator that no claim is about", "one side alone"],
)
def test_a_run_that_no_claim_is_about_has_no_section(records: list[Record]) -> None:
    assert claims(find(builders.make_run(records))) is None


def test_where_none_can_be_answered_the_reasons_stand_alone() -> None:
    records = [builders.make_failure(builders.make_point(name)) for name in ("hyena", "flash")]
    section = section_of(records)
    assert [table.header[0] for table in section.tables] == ["Not comparable because"]
    assert len(section.paragraphs) == 1


def test_the_device_of_the_run_is_the_one_that_a_source_must_name() -> None:
    claim = {
        "id": "it",
        "statement": "It is so.",
        "where": "here",
        "check": {"kind": "ratio", "challenger": "hyena", "incumbent": "flash", "length": 8192, "value": 2},
    }
    verdicts = []
    for name in ("Example CPU", "Other CPU"):
        held = {"name": "s", "source": "s", "claims": [{**claim, "conditions": {"device_name": name}}]}
        findings = find(builders.make_run(builders.make_records(phases=(Phase.FORWARD,))))
        (result,) = judge(findings, [ClaimsFile.model_validate(held)])
        verdicts.append(result.verdict)
    assert verdicts == [Verdict.REPRODUCED, Verdict.NOT_COMPARABLE]
