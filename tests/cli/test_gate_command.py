from __future__ import annotations

import json
import os
import subprocess

import pytest
from commands import run
from scripted import Orders, write_script, write_site

from hyenaprof.model import Visit
from hyenaprof.records.journal import NAME, read_journal
from hyenaprof.records.store import load_run

SUITE = ("gate", "--ops", "hyena:fft,flash:sdpa", "--device", "fake", "--lengths", "256", "--phases", "forward")
ALONE = ("gate", "--ops", "hyena:fft", *SUITE[3:])
"""One operator: a gate of it ends as soon as it is clear."""
LAWS = {"hyena": (1e-6, 1.0), "flash": (2e-6, 1.0)}
NOISY = (1.0, 1.6, 0.7, 1.3, 0.6, 1.1, 0.8)
EVEN = (1.0,)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def sides(tmp_path):
    """Makes two environments whose workers are scripts, and gives the flags that name them."""

    def make(candidate=None, base=None):
        scripts = {"A": base or Orders(laws=LAWS), "B": candidate or Orders(laws=LAWS)}
        paths = {side: write_script(tmp_path, orders, name=f"side-{side}").path for side, orders in scripts.items()}
        return tuple(word for side, path in paths.items() for word in ("--python", f"{side}={path}"))

    return make


def slower(factor):
    return Orders(laws={**LAWS, "hyena": (factor * 1e-6, 1.0)})


def failing(verb, outcome, reason, operator="hyena"):
    fault = {"verb": verb, "kind": "refuse", "operator": operator, "outcome": outcome, "reason": reason}
    return Orders(laws=LAWS, faults=(fault,))


def rows(ended):
    """Rows of the table by operator."""
    table = ended.out.partition(" detects")[2].partition("\ndetects")[0]
    return {line.split()[0]: line for line in table.splitlines() if line.startswith(("hyena:", "flash:"))}


def test_equal_sides_are_green_after_six_rounds_and_leave_two_runs(capsys, sides, folder):
    ended = run(capsys, *SUITE, *sides(), "--out", "mine")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[-1].startswith("not red: ")
    assert "regressed" not in ended.out
    for side in ("base", "candidate"):
        visits = [line for line in read_journal(folder / "mine" / side / NAME)[0] if isinstance(line, Visit)]
        assert sorted(visit.round for visit in visits) == sorted(2 * list(range(6)))
        assert load_run(folder / "mine" / side).finished
    orders = {visit.round: visit.order for visit in visits}
    assert [orders[number] for number in range(6)] == [1, 0, 0, 1, 1, 0], "the sides take turns at being first"


def test_a_slower_operator_is_red_and_no_other_is_and_every_place_asked_for_says_so(capsys, sides, folder, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    (folder / "summary.md").write_text("before\n", encoding="utf-8")
    files = ("--json", "out/gate.json", "--junit", "out/gate.xml", "--benchmark-json", "out/bench.json")
    ended = run(capsys, *SUITE, *sides(slower(1.2)), "--out", "mine", *files)
    assert ended.status == 1
    found = rows(ended)
    assert list(found) == ["hyena:fft", "flash:sdpa"], "the worst first"
    assert "1.200x" in found["hyena:fft"]
    assert "regressed" in found["hyena:fft"]
    assert " ok " in found["flash:sdpa"]
    rounds = {r.point.operator: len(r.visits) for r in load_run(folder / "mine" / "candidate").records}
    assert rounds == {"hyena": 10, "flash": 6}, "only what is not clear is measured again"
    told = json.loads((folder / "out" / "gate.json").read_text(encoding="utf-8"))
    assert (told["exit_code"], told["red"]) == (1, True)
    worst = told["verdicts"][0]
    assert (worst["point"]["operator"], worst["verdict"], worst["rounds"]) == ("hyena", "regressed", 10)
    assert worst["ratio"] == pytest.approx(1.2, rel=0.01)
    assert 'failures="1" errors="0"' in (folder / "out" / "gate.xml").read_text(encoding="utf-8")
    times = {row["name"]: row["value"] for row in json.loads((folder / "out" / "bench.json").read_text())}
    assert times["hyena:fft forward L=256 time"] == pytest.approx(1.2 * 256e-6, rel=0.01)
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("before\n")
    assert "B against A." in summary
    assert "hyena:fft forward L=256" in summary
    (error,) = (line for line in ended.out.splitlines() if line.startswith("::error"))
    assert "hyena:fft forward L=256 time: 1.2" in error


def test_a_faster_operator_is_green(capsys, sides):
    ended = run(capsys, *ALONE, *sides(slower(0.5)))
    assert ended.status == 0
    assert "improved" in rows(ended)["hyena:fft"]


@pytest.mark.parametrize(
    ("verb", "outcome", "reason"),
    [
        ("measure", "oom", "out of memory"),
        ("memory", "oom", "out of memory"),
        ("measure", "crashed", "RuntimeError: no"),
        ("verify", "incorrect", "gradient of x"),
        ("verify", "unsupported", "needs another library"),
    ],
)
def test_a_point_that_ran_and_does_not_any_more_is_red(capsys, sides, verb, outcome, reason):
    ended = run(capsys, *ALONE, *sides(failing(verb, outcome, reason)))
    assert ended.status == 1
    assert "regressed" in rows(ended)["hyena:fft"]
    (said,) = (line for line in ended.out.splitlines() if "ran before, now" in line)
    assert said.startswith("hyena:fft forward L=256: ")
    assert reason in said


def test_a_point_that_runs_now_and_did_not_before_is_green(capsys, sides):
    ended = run(capsys, *SUITE, *sides(base=failing("measure", "oom", "out of memory")))
    assert ended.status == 0
    assert "improved" in rows(ended)["hyena:fft"]
    assert "hyena:fft forward L=256: runs now" in ended.out


def test_where_nothing_runs_on_either_side_nothing_can_be_said(capsys, sides):
    broken = Orders(laws=LAWS, faults=({"verb": "verify", "kind": "refuse", "outcome": "unsupported", "reason": "no"},))
    ended = run(capsys, *SUITE, *sides(broken, broken))
    assert ended.status == 3
    assert ended.said()[0] == "no point could be measured on both sides"


def test_a_suite_without_operators_is_empty(capsys, folder):
    (folder / "suite.yaml").write_text("operators: {}\nlengths: [256]\n", encoding="utf-8")
    ended = run(capsys, "gate", "suite.yaml", "--self-test")
    assert ended.status == 3
    assert "suite.yaml names no operator" in ended.said()[0]


def test_sides_under_other_protocols_are_not_compared(capsys, sides):
    own = json.loads(json.dumps({"machine": {"device": "cpu"}, "software": {}, "protocol": {"threads": 1}}))
    other = {**own, "protocol": {"threads": 2}}
    ended = run(
        capsys,
        *SUITE,
        *sides(Orders(laws=LAWS, hello={"fingerprint": other}), Orders(laws=LAWS, hello={"fingerprint": own})),
    )
    assert ended.status == 3
    assert "not measured alike: protocol.threads: 1 base, 2 candidate" in ended.said()[0]


def test_a_machine_that_is_too_noisy_is_not_called_green(capsys, sides):
    noisy = sides(Orders(laws=LAWS, wobble=NOISY), Orders(laws=LAWS, wobble=NOISY[::-1]))
    ended = run(capsys, *ALONE, *noisy)
    assert ended.status == 4
    assert "too noisy to judge: 100 % of the points are inconclusive" in ended.out
    assert "would be flagged with 80 % power" in ended.out
    assert "What would help" in ended.out


def test_what_passes_is_read_from_a_file_and_by_flag(capsys, sides, folder):
    (folder / "t.yaml").write_text("'hyena:*/forward': 30%\n", encoding="utf-8")
    flags = sides(slower(1.2))
    assert run(capsys, *ALONE, *flags, "--tolerances", "t.yaml").status == 0
    assert run(capsys, *ALONE, *flags, "--tolerance", "30%").status == 0


def test_an_expected_change_is_shown_and_passes_until_it_expires(capsys, sides, folder):
    page = "- {{points: 'hyena:fft/*', up_to: 25%, reason: a wider filter, expires: {}}}\n"
    flags = (*ALONE, *sides(slower(1.2)), "--expected", "e.yaml")
    (folder / "e.yaml").write_text(page.format("2999-01-01"), encoding="utf-8")
    ended = run(capsys, *flags)
    assert ended.status == 0
    assert "expected: a wider filter (until 2999-01-01)" in ended.out
    assert "regressed, expected" in rows(ended)["hyena:fft"]
    (folder / "e.yaml").write_text(page.format("2020-01-01"), encoding="utf-8")
    ended = run(capsys, *flags)
    assert ended.status == 2
    assert "expired on 2020-01-01" in ended.said()[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to compare with"),
        (("--self-test", "--against", "main"), "--against and --self-test are both given"),
        (("--python", "A=python3"), "--python names one side alone"),
        (("--python", "flash:fa4=python3"), "--python 'flash:fa4=python3' is not A=PATH or B=PATH"),
        (("--python", "A=nowhere", "--python", "B=python3"), "--python A: no interpreter there"),
        (("--self-test", "--build", "make"), "--build is for --against alone"),
        (("--self-test", "--tolerances", "none.yaml"), "cannot read none.yaml"),
        (("--self-test", "--max-inconclusive", "much"), "much"),
        (("--against", "main"), "this is not a git repository's working tree"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_one_sentence(capsys, arguments, said):
    ended = run(capsys, *SUITE, *arguments)
    assert ended.status == 2
    assert said in ended.said()[0]


def test_an_unknown_commit_is_refused_and_leaves_nothing(capsys, folder):
    subprocess.run(["git", "init", "-q"], check=True, cwd=folder)
    ended = run(capsys, *SUITE, "--against", "no-such-branch")
    assert ended.status == 2
    assert ended.said() == (
        "--against 'no-such-branch' names no commit here",
        "fetch it first, as `git fetch origin main`; in a GitHub workflow check out with fetch-depth: 0",
    )
    assert {path.name for path in folder.iterdir()} == {".git"}


def test_a_folder_that_holds_something_is_not_written_into(capsys, sides, folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "notes").write_text("", encoding="utf-8")
    ended = run(capsys, *SUITE, *sides(), "--out", "mine")
    assert ended.status == 2
    assert ended.said()[0] == "mine is not an empty folder"


def test_a_file_that_cannot_be_written_is_told(capsys, sides, folder):
    (folder / "file").write_text("", encoding="utf-8")
    ended = run(capsys, *ALONE, *sides(failing("measure", "oom", "none")), "--json", "file/gate.json")
    assert ended.status == 2
    assert "cannot write gate.json" in ended.err


def test_the_budget_ends_a_gate_that_says_what_it_could_not_judge(capsys, sides):
    ended = run(capsys, *SUITE, *sides(), "--budget", "1s")
    assert ended.status == 4
    assert "the budget was reached" in ended.out


def test_a_plan_tells_what_how_long_and_after_a_gate_what_it_could_detect(capsys, sides, folder, monkeypatch):
    inherited = os.environ.get("PYTHONPATH", "")
    site = write_site(folder / "planned", Orders(laws=LAWS))
    assert run(capsys, *ALONE, *sides()).status == 0
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(site), inherited))))
    (gated,) = (folder / "runs").iterdir()
    ended = run(capsys, *ALONE, "--plan")
    assert (ended.status, ended.err) == (0, "")
    assert "6 rounds of both sides take about " in ended.out
    assert f"at the spread of {gated.name}" in ended.out
    first = run(capsys, *ALONE, "--plan", "--seed", "1")
    assert "what it could detect here is known once a gate ran: hyenaprof gate --self-test" in first.out
    assert [path.name for path in (folder / "runs").iterdir()] == [gated.name]
    assert run(capsys, *ALONE, *sides(failing("measure", "oom", "none"))).status == 1
    assert {path.name for path in (folder / "runs").iterdir()} == {gated.name, f"{gated.name}-2"}
