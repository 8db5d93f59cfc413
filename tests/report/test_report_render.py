from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import builders
import pytest
from planted import HARMLESS, HOSTILE, planted

from hyenaprof.errors import JournalError, ScenarioError
from hyenaprof.model import Outcome, Phase, Record
from hyenaprof.records.store import Run
from hyenaprof.report.findings import find
from hyenaprof.report.render import render
from hyenaprof.report.sections import SECTIONS, sections


class Page(HTMLParser):
    """Tags with their attributes, in order, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def mixed_run() -> Run:
    """Measured, predicted, failed and single-visit points in one run."""
    flash = builders.make_point("flash", 16384)
    return builders.make_run(
        [
            *builders.make_records(phases=(Phase.FORWARD,)),
            builders.make_failure(flash, Outcome.OVER_BUDGET, "predicted 3.1 s, 1 s left", predicted_s=3.1),
            builders.make_failure(builders.make_point("attention", 8192), inferred=True),
            builders.make_record(builders.make_point("hyena", 16384), 1e-2, rounds=1),
            replace(builders.make_record(builders.make_point("attention", 1024)), cost=None, memory=None),
        ]
    )


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Markdown and HTML of the mixed run."""
    folder = tmp_path_factory.mktemp("mixed")
    markdown, page = render(mixed_run(), into=folder)
    return markdown.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("hostile")
    markdown, page = render(planted(HOSTILE), into=folder)
    return markdown.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")


def test_the_report_is_written_into_the_run_s_folder(tmp_path: Path) -> None:
    run = builders.make_run(builders.make_records(phases=(Phase.FORWARD,)), folder=tmp_path)
    assert render(run) == [tmp_path / "report.md", tmp_path / "report.html"]
    linked = re.findall(r"\]\((figures/[^)]+)\)", (tmp_path / "report.md").read_text(encoding="utf-8"))
    assert sorted(linked) == [
        "figures/leaders-1.svg",
        "figures/memory-1.svg",
        "figures/speedup-1.svg",
        "figures/time-1.svg",
    ]
    assert all((tmp_path / name).read_text(encoding="utf-8").startswith("<svg") for name in linked)


def test_a_run_without_a_folder_says_so() -> None:
    with pytest.raises(JournalError, match="no folder"):
        render(builders.make_run())


def test_the_answer_comes_first_and_states_the_known_crossover(mixed: tuple[str, str]) -> None:
    for text in mixed:
        found = re.search(r"hyena overtakes flash between 2048 and 4096, at about (\d+)", text)
        assert found, text[:2000]
        assert int(found[1]) == pytest.approx(builders.CROSSOVER, rel=0.02)
        following = re.search(r'(## |-title">)Time against length', text)
        assert following
        assert found.start() < following.start()


def test_every_section_of_the_table_is_in_the_page(mixed: tuple[str, str]) -> None:
    anchors = {attributes.get("id") for tag, attributes in Page(mixed[1]).tags if tag == "section"}
    assert anchors == SECTIONS.keys() - {"allocators", "choices", "dispatched", "kernels"}


def test_a_failed_point_is_a_row_with_its_outcome_and_reason(mixed: tuple[str, str]) -> None:
    markdown, page = mixed
    row = next(line for line in markdown.splitlines() if line.startswith("| attention | forward | 8k |"))
    assert "| out of memory |" in row
    assert "needs 48 GiB, 14 GiB available; inferred, not met" in row
    assert '<td class="bad">out of memory</td>' in page


def test_a_prediction_is_called_one_wherever_it_stands(mixed: tuple[str, str]) -> None:
    for text in mixed:
        assert "over budget (predicted 3.1 s)" in text
        assert "predicted 3.1 s, not measured" in text


def test_no_nan_infinity_or_none_is_printed(mixed: tuple[str, str]) -> None:
    page = Page(mixed[1])
    values = [value or "" for _, attributes in page.tags for value in attributes.values()]
    for text in (mixed[0], *page.text, *values):
        if "querySelectorAll" not in text:
            assert not re.search(r"\b([Nn]a[Nn]|[Ii]nf|None)\b", text), text[:300]


def test_the_page_asks_nothing_of_any_network(mixed: tuple[str, str]) -> None:
    page = Page(mixed[1])
    assert not {tag for tag, _ in page.tags} & {"img", "iframe", "object", "embed", "base", "form", "audio", "video"}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not re.search(r"https?:|//", value or ""), (tag, name, value)
            if name in {"src", "href", "xlink:href", "action", "srcset"}:
                assert (value or "").startswith("#") or value == "data:,", (tag, name, value)
    assert not re.search(r"@import|url\((?!#)", mixed[1])


def test_the_page_forbids_by_policy_what_it_does_not_need(mixed: tuple[str, str]) -> None:
    policy = next(a["content"] or "" for tag, a in Page(mixed[1]).tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "'unsafe-inline'" not in policy.partition("script-src")[2]


def test_every_figure_has_alt_text_a_data_table_and_a_full_caption(mixed: tuple[str, str]) -> None:
    page = mixed[1]
    figures = re.findall(r"<figure .*?</figure>", page, re.DOTALL)
    assert len(figures) == 4
    for figure in figures:
        assert re.search(r'<svg role="img" aria-label="[^"]{20,}"', figure)
        assert "<table" in figure
        caption = re.search(r"<figcaption>(.*?)</figcaption>", figure, re.DOTALL)
        assert caption
        for part in ("Example CPU", "float32", "B=1 D=768 H=12", "n = ", "projections, filters and mixing"):
            assert part in caption[1], (part, caption[1])


def test_an_identifier_stands_once_in_a_page(mixed: tuple[str, str]) -> None:
    found = [attributes["id"] for _, attributes in Page(mixed[1]).tags if "id" in attributes]
    assert len(found) == len(set(found))


def test_planted_markup_changes_no_tag_of_the_page(hostile: tuple[str, str], tmp_path: Path) -> None:
    (harmless,) = render(planted(HARMLESS), into=tmp_path, formats=("html",))
    expected = [(tag, sorted(attributes)) for tag, attributes in Page(harmless.read_text(encoding="utf-8")).tags]
    found = Page(hostile[1])
    assert [(tag, sorted(attributes)) for tag, attributes in found.tags] == expected
    assert sum("alert(1)" in text for text in found.text) > 20


def test_planted_markup_is_text_in_markdown(hostile: tuple[str, str]) -> None:
    prose = re.sub(r"^```.*?^```$", "", hostile[0], flags=re.DOTALL | re.MULTILINE)
    assert "&lt;script&gt;" in prose
    tags = set(re.findall(r"<[^>]*>", prose))
    assert tags == {"<details>", "<summary>", "</summary>", "</details>"}
    tables = re.findall(r"(?:^\|.*\n)+", prose, re.MULTILINE)
    assert len(tables) > 8
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


def test_a_fence_outlasts_the_backticks_in_it(tmp_path: Path) -> None:
    run = replace(builders.make_run([]), scenario=builders.make_scenario(purpose="````"))
    (markdown,) = render(run, into=tmp_path, formats=("md",))
    assert "\n`````\nname: hyena-vs-flash" in markdown.read_text(encoding="utf-8")


def test_the_same_run_renders_to_the_same_bytes(tmp_path: Path) -> None:
    run = mixed_run()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        render(run, into=tmp_path / name)
    first, second = (sorted((tmp_path / name).rglob("*.*")) for name in ("first", "second"))
    assert [path.name for path in first] == [path.name for path in second]
    assert len(first) == 6
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_figures_for_papers_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    run = builders.make_run(builders.make_records(phases=(Phase.FORWARD,), rounds=2))
    for name in ("first", "second"):
        render(run, into=tmp_path / name, prints=("pdf", "png"), formats=())
    names = sorted(path.name for path in (tmp_path / "first" / "figures").iterdir())
    assert names == sorted(
        f"{figure}-1.{suffix}" for figure in ("leaders", "memory", "speedup", "time") for suffix in ("pdf", "png")
    )
    assert (tmp_path / "first" / "figures" / "time-1.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "first" / "figures" / "time-1.png").read_bytes().startswith(b"\x89PNG")
    for name in names:
        assert (tmp_path / "first" / "figures" / name).read_bytes() == (
            tmp_path / "second" / "figures" / name
        ).read_bytes()


def test_an_unknown_figure_format_is_one_sentence_with_a_hint() -> None:
    with pytest.raises(ScenarioError, match="no figure format 'pfd'") as raised:
        render(builders.make_run([], folder=Path()), prints=("pfd",))
    assert raised.value.hint == "did you mean 'pdf'?"


def test_the_method_says_how_the_cache_really_was() -> None:
    run = builders.make_run(builders.make_records(phases=(Phase.FORWARD,), rounds=2))
    fingerprint = builders.make_fingerprint()
    told = fingerprint.model_copy(update={"protocol": {**fingerprint.protocol, "cache": "as left by the call before"}})
    header = run.headers[0].model_copy(update={"fingerprint": told})
    made = {section.anchor: section for section in sections(find(replace(run, headers=(header,))))}
    assert ("Cache", "as left by the call before") in made["method"].tables[0].rows


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ((), "hyenaprof sweep scenario.yaml"),
        (("crossover", "scenario.yaml", "--precision", "0.02"), "hyenaprof crossover scenario.yaml --precision 0.02"),
    ],
)
def test_the_command_to_do_it_again_is_the_one_that_was_used(command: tuple[str, ...], shown: str) -> None:
    run = builders.make_run([])
    header = run.headers[0].model_copy(update={"command": command})
    made = {section.anchor: section for section in sections(find(replace(run, headers=(header, header))))}
    assert made["reproduce"].listings[0] == f"{shown}\nhyenaprof report FOLDER"


def test_what_was_dispatched_stands_by_operator_and_phase() -> None:
    record = builders.make_record(builders.make_point())
    assert record.memory
    memory = record.memory.model_copy(update={"dispatched": ("aten::_fft_r2c", "aten::mul")})
    made = {section.anchor: section for section in sections(find(builders.make_run([replace(record, memory=memory)])))}
    assert made["dispatched"].tables[0].rows == (("hyena", "forward", "aten::_fft_r2c, aten::mul"),)


def test_an_empty_run_is_a_report_that_says_so(tmp_path: Path) -> None:
    markdown, page = render(builders.make_run([]), into=tmp_path)
    assert "No two operators were measured in the same setting" in markdown.read_text(encoding="utf-8")
    assert "0 points, 0 visits: none." in page.read_text(encoding="utf-8")


def test_settings_are_told_apart_where_a_run_has_several() -> None:
    records: tuple[Record, ...] = ()
    for width, heads in ((256, 4), (768, 12)):
        records += builders.make_records(phases=(Phase.FORWARD,), width=width, heads=heads, rounds=2)
    made = {section.anchor: section for section in sections(find(builders.make_run(records)))}
    assert len(made["time"].figures) == 2
    assert ["B=256" in p or "D=256" in p for p in made["answer"].paragraphs] == [True, False]
    assert made["points"].tables[0].header[0] == "Setting"
