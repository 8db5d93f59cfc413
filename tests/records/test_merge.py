from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from builders import (
    STARTED_AT,
    make_check,
    make_fingerprint,
    make_point,
    make_scenario,
    make_visit,
)

from hyenaprof.analysis.crossover import find_all
from hyenaprof.errors import JournalError, MergeError, ScenarioError
from hyenaprof.model import CrossoverState, DType, EndLine, HeaderLine, MemoryLine, Phase, Visit
from hyenaprof.records.journal import NAME, Journal
from hyenaprof.records.merge import Part, merge, read_part, write
from hyenaprof.records.scenario import load_scenario
from hyenaprof.records.store import AS_WRITTEN, SCENARIO, begin_folder, choose_folder, load_run, run_of

HERE = make_fingerprint()
UPGRADED = make_fingerprint(torch="2.14.0")
ELSEWHERE = HERE.model_copy(update={"machine": {**HERE.machine, "cpu": "Other CPU"}})
HOT = HERE.model_copy(update={"protocol": {**HERE.protocol, "cache": "hot"}})
END = EndLine(complete=True, reason="done", elapsed_s=1.0)
LENGTHS = (1024, 2048, 4096, 8192)


def header(fingerprint=HERE, started_at=STARTED_AT):
    return HeaderLine(hyenaprof="0.1.0", fingerprint=fingerprint, started_at=started_at)


def visits(operator, fingerprint=HERE, *, rounds=6, factor=1.0, lengths=LENGTHS):
    """Hyena linear, flash quadratic, equal at 2896; the seconds of a machine in `factor`."""
    exponent = 1 if operator == "hyena" else 2
    return tuple(
        make_visit(
            make_point(operator, length),
            factor * 2e-3 * (length / 2896) ** exponent,
            round=number,
            noise=0.01,
            fingerprint_id=fingerprint.id,
        )
        for length in lengths
        for number in range(rounds)
    )


def part(*lines, name="one", scenario=None):
    return Part(name, scenario or make_scenario(), lines)


def both(fingerprint=HERE, *, factor=1.0, name="one", started_at=STARTED_AT, lengths=LENGTHS):
    timed = (visits(side, fingerprint, factor=factor, lengths=lengths) for side in ("hyena", "flash"))
    return part(header(fingerprint, started_at), *(v for held in timed for v in held), END, name=name)


def side(operator, fingerprint=HERE, *, started_at=STARTED_AT, factor=1.0):
    scenario = make_scenario(operators={operator: {}})
    timed = visits(operator, fingerprint, factor=factor)
    return part(header(fingerprint, started_at), *timed, END, name=operator, scenario=scenario)


def run(*parts):
    merged = merge(parts)
    return run_of(merged.scenario, merged.lines)


def crossovers(*parts):
    return find_all(run(*parts).records)


def of(kind, merged):
    return [line for line in merged.lines if isinstance(line, kind)]


def test_a_run_merged_with_itself_is_itself():
    whole = both()
    merged = merge([whole, replace(whole, name="copy")])
    assert (merged.visits, merged.repeated) == (48, 48)
    assert of(Visit, merged) == [line for line in whole.lines if isinstance(line, Visit)]
    assert merged.scenario == whole.scenario
    assert run(whole, whole).records == run_of(whole.scenario, whole.lines).records


def test_a_copy_that_went_on_adds_what_is_new():
    whole = both()
    begun = replace(whole, lines=whole.lines[:20])
    merged = merge([begun, whole])
    assert (merged.visits, merged.repeated) == (48, 19)
    assert run(begun, whole).records == run_of(whole.scenario, whole.lines).records


def test_merging_twice_changes_nothing_and_the_order_of_merging_nothing_that_is_reported():
    parts = [both(), both(ELSEWHERE, name="two", started_at=STARTED_AT + 9), side("hyena", UPGRADED)]
    once = merge(parts)
    again = merge([Part("merged", once.scenario, once.lines), *parts])
    assert (again.lines, again.scenario) == (once.lines, once.scenario)
    paired = merge([Part("first two", make_scenario(), merge(parts[:2]).lines), parts[2]])
    assert paired.lines == once.lines
    backwards = merge(parts[::-1])
    assert sorted(backwards.lines, key=repr) == sorted(once.lines, key=repr)


def test_unequal_visits_under_one_key_are_listed_and_refused():
    first, second = both(), both(factor=1.5, name="two")
    odd = replace(second, lines=(second.lines[0], second.lines[1], *first.lines[2:]))
    with pytest.raises(MergeError, match=r"^1 visits have the same fingerprint, point and round") as caught:
        merge([first, odd])
    assert caught.value.exit_code == 1
    (said,) = caught.value.contradictions
    assert said.startswith(f"hyena:fft forward L=1024, round 1, fingerprint {HERE.id}: ")
    assert said.endswith(" in two")
    assert " in one, " in said


def test_a_visit_that_stands_twice_in_one_journal_counts_once_and_contradicts_nothing():
    whole = both()
    late = make_visit(make_point("hyena", 1024), 7.0)
    twice = replace(whole, lines=(*whole.lines, late), name="two")
    for parts in ([whole, twice], [twice, whole]):
        assert late not in merge(parts).lines


def test_sides_of_one_run_stay_paired():
    (crossover,) = crossovers(both(), both(ELSEWHERE, name="two", started_at=STARTED_AT + 9))[:1]
    assert all(comparison.paired and comparison.rounds == 6 for comparison in crossover.comparisons)


@pytest.mark.parametrize("fingerprint", [HERE, UPGRADED])
def test_sides_of_two_runs_on_one_machine_are_compared_and_marked_as_unpaired(fingerprint):
    (crossover,) = crossovers(side("hyena"), side("flash", fingerprint, started_at=STARTED_AT + 1000))
    assert not any(comparison.paired for comparison in crossover.comparisons)
    (flip,) = crossover.flips
    assert flip.length == pytest.approx(2896, rel=0.02)


def test_one_round_a_side_of_two_runs_is_no_pair_and_has_no_interval():
    def single(operator, started_at):
        timed = visits(operator, rounds=1)
        return part(header(started_at=started_at), *timed, END, scenario=make_scenario(operators={operator: {}}))

    (crossover,) = crossovers(single("hyena", STARTED_AT), single("flash", STARTED_AT + 1000))
    assert all(comparison.low is None and not comparison.paired for comparison in crossover.comparisons)


@pytest.mark.parametrize("other", [ELSEWHERE, HOT], ids=["another machine", "another protocol"])
def test_sides_under_other_conditions_are_never_compared(other):
    assert crossovers(side("hyena"), side("flash", other, started_at=STARTED_AT + 1000)) == []


def test_a_run_under_another_allocator_keeps_its_crossover_beside_the_firsts():
    default = HERE.model_copy(update={"protocol": {**HERE.protocol, "allocator": "default"}})
    merged = run(both(), both(default, name="two", started_at=STARTED_AT + 100.0, factor=2.0))
    assert merged.other_allocator == ()
    assert {crossover.state for crossover in find_all(merged.records)} == {CrossoverState.RESOLVED}
    assert {record.fingerprint_id for record in merged.records} == {HERE.id, default.id}


def test_two_machines_have_a_crossover_each_and_none_in_common():
    slow = both(ELSEWHERE, factor=100.0, name="two", started_at=STARTED_AT + 9)
    here, there = crossovers(both(), slow)
    for crossover, alone in ((here, both()), (there, slow)):
        (expected,) = crossovers(alone, alone)
        assert crossover == expected


def test_two_environments_on_each_of_two_machines_never_meet_across_machines():
    upgraded_elsewhere = UPGRADED.model_copy(update={"machine": ELSEWHERE.machine})
    parts = [
        side("hyena", HERE),
        side("flash", UPGRADED, started_at=STARTED_AT + 1),
        side("hyena", ELSEWHERE, started_at=STARTED_AT + 2, factor=100.0),
        side("flash", upgraded_elsewhere, started_at=STARTED_AT + 3, factor=100.0),
    ]
    found = crossovers(*parts)
    assert len(found) == 2
    for crossover in found:
        (flip,) = crossover.flips
        assert flip.length == pytest.approx(2896, rel=0.02)


def test_two_versions_of_one_side_are_compared_one_by_one_with_the_other():
    parts = [
        side("hyena", HERE),
        side("hyena", UPGRADED, started_at=STARTED_AT + 1, factor=0.5),
        side("flash", make_fingerprint(torch="2.12.0"), started_at=STARTED_AT + 2),
    ]
    first, second = crossovers(*parts)
    assert first.flips[0].length == pytest.approx(2896, rel=0.02)
    assert second.flips[0].length == pytest.approx(2896 / 2, rel=0.02)


def test_checks_memory_and_ends_of_every_run_are_kept():
    point = make_point()
    told = (make_check(point), MemoryLine(point=point, peak_bytes=7, method="exact", fingerprint_id=HERE.id))
    first, second = side("hyena"), side("flash", started_at=STARTED_AT + 9)
    merged = merge([replace(first, lines=(*first.lines[:-1], *told, END)), second])
    assert [line for line in merged.lines if line in told] == list(told)
    assert len(of(EndLine, merged)) == 2
    runs = [line.run for line in of(HeaderLine, merged)]
    assert len(set(runs)) == len(runs) == 2
    assert None not in runs


def test_the_page_names_all_that_was_measured():
    first = make_scenario(name="hyenas", operators={"hyena": {"implementations": ["fft"]}}, phases="forward")
    second = make_scenario(name="flashes", operators={"flash": {}, "hyena": {}}, lengths=[512, 1024], width=[768, 64])
    page = merge([replace(side("hyena"), scenario=first), replace(both(ELSEWHERE), scenario=second)]).scenario
    assert page.name == "hyenas-and-flashes"
    assert list(page.operators) == ["hyena", "flash"]
    assert page.operators["hyena"].implementations == (), "one page left the choice open"
    assert page.phases == (Phase.FORWARD, Phase.BACKWARD, Phase.TRAINING)
    assert page.lengths == (512, 1024, 2048, 4096, 8192)
    assert page.width == (768, 64)
    assert page.heads is None


def test_dtypes_and_heads_of_all_pages_stand_on_one():
    first, second = make_scenario(dtype="float32", heads=4), make_scenario(dtype="bfloat16")
    page = merge([replace(both(), scenario=first), replace(both(ELSEWHERE), scenario=second)]).scenario
    assert page.dtype == (DType.FLOAT32, DType.BFLOAT16)
    assert page.heads == (4, 12)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scope": "core"}, "the runs time layer and core"),
        (
            {"operators": {"hyena": {"order": 3}, "flash": {}}},
            r"the runs set other options of hyena: \{\} and \{'order': 3\}",
        ),
    ],
)
def test_runs_that_no_one_page_can_name_are_refused(changed, said):
    with pytest.raises(ScenarioError, match=said) as caught:
        merge([both(), replace(both(ELSEWHERE), scenario=make_scenario(**changed))])
    assert caught.value.hint


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Writes parts as runs' folders."""
    monkeypatch.chdir(tmp_path)

    def written(*parts):
        for number, held in enumerate(parts):
            begin_folder(Path(f"run-{number}"), held.scenario)
            with Journal(Path(f"run-{number}") / NAME) as journal:
                journal.append(held.lines)
        return [Path(f"run-{number}") for number in range(len(parts))]

    return written


def test_what_is_written_is_a_run(folders):
    parts = [read_part(folder) for folder in folders(side("hyena"), side("flash", started_at=STARTED_AT + 9))]
    merged = merge(parts)
    folder = write(merged, Path("both"))
    loaded = load_run(folder)
    assert loaded.records == run_of(merged.scenario, merged.lines).records
    assert loaded.merged
    assert load_scenario(folder / SCENARIO, context=AS_WRITTEN) == merged.scenario
    assert not any(load_run(name).merged for name in ("run-0", "run-1"))


def test_runs_are_left_as_they_were_and_a_second_merge_gets_its_own_folder(folders):
    names = folders(both(), both(ELSEWHERE))
    before = [(name / NAME).read_bytes() for name in names]
    merged = merge([read_part(name) for name in names])
    first, second = (write(merged, None) for _ in range(2))
    assert first.parent == Path("runs")
    assert first.name.endswith("-merged")
    assert second.name == f"{first.name}-2"
    assert before == [(name / NAME).read_bytes() for name in names]


def test_a_folder_that_holds_something_is_never_written_into(folders):
    (first, second) = folders(both(), both(ELSEWHERE))
    merged = merge([read_part(first), read_part(second)])
    before = (first / NAME).read_bytes()
    for out in (first, first / NAME):
        with pytest.raises(JournalError, match="holds something already"):
            write(merged, out)
    assert (first / NAME).read_bytes() == before


def test_a_merged_run_is_not_gone_on_with(folders):
    unfinished = replace(both(), lines=both().lines[:-1])
    merged = merge([read_part(name) for name in folders(unfinished, replace(unfinished, lines=unfinished.lines[:9]))])
    folder = write(merged, Path("both"))
    with pytest.raises(JournalError, match="both was merged from several runs"):
        choose_folder(merged.scenario, out=folder, fresh=False)
    assert choose_folder(merged.scenario, out=folder, fresh=True) == (Path("both-2"), None)


def test_a_run_without_measurements_is_refused(folders):
    (name,) = folders(part(END))
    with pytest.raises(JournalError, match="the journal is empty"):
        read_part(name)
