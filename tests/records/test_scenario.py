from __future__ import annotations

import pytest
import yaml

from hyenaprof.errors import ScenarioError
from hyenaprof.model import DType, Phase, Scope
from hyenaprof.operators import OPERATORS as OPERATOR_TABLE
from hyenaprof.records.scenario import OperatorChoice, Protocol, load_scenario, scenario_from
from hyenaprof.resources import scenario_files

BOTH = {"operators": {"hyena": {}, "flash": {}}}
OPERATORS = "operators: {hyena: {}, flash: {}}\n"


@pytest.fixture
def page(tmp_path):
    """Writes a page and gives what is said of it: message and hint."""

    def said_of(text):
        path = tmp_path / "question.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ScenarioError) as caught:
            load_scenario(path)
        return caught.value.message, caught.value.hint

    return said_of


def lengths_of(lengths):
    return scenario_from({**BOTH, "lengths": lengths}).lengths


def test_the_defaults_are_those_of_the_issue():
    scenario = scenario_from(BOTH)
    assert scenario.batch == (1,)
    assert scenario.width == (768,)
    assert scenario.heads_of(768) == (12,)
    assert scenario.scope is Scope.LAYER
    assert scenario.phases == (Phase.FORWARD, Phase.BACKWARD, Phase.TRAINING)
    assert scenario.lengths == (1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
    assert scenario.dtype == ("auto",)
    assert scenario.device == "auto"
    assert scenario.budget == 600
    assert scenario.precision is None
    assert scenario.rounds is None
    assert scenario.protocol == Protocol(cache="cold", allocator="warm")


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"lengths": {"to": "8k"}},
        {"lengths": ["1k", 3000, "1M"], "batch": [1, 8], "width": [128, 768], "heads": [2, 4]},
        {"dtype": ["auto", "bfloat16"], "device": "cuda:1", "scope": "core", "phases": "forward"},
        {"budget": "1.5h", "precision": "0.005%", "rounds": 7, "seed": 2**63 - 1},
        {"budget": "0.0001ms"},
        {"budget": "99999999999999h"},
        {"purpose": "Größer: 'yes' # no\n- {}", "name": "a.b-c_1"},
        {"protocol": {"cache": "hot", "allocator": "default", "threads": 3, "cuda_graph": True}},
        {"protocol": {"inputs": "ones"}},
        {
            "operators": {
                "hyena": {"implementations": ["fft"], "order": 3, "window": False, "frequency": 1},
                "attention": None,
            }
        },
    ],
)
def test_a_page_written_and_read_again_is_the_same_question(tmp_path, changed):
    scenario = scenario_from({**BOTH, "name": "asked", **changed})
    path = tmp_path / "scenario.yaml"
    path.write_text(scenario.to_yaml(), encoding="utf-8")
    again = load_scenario(path)
    assert again == scenario
    assert again.hash == scenario.hash
    assert again.to_yaml() == scenario.to_yaml()


@pytest.mark.parametrize("changed", [{"budget": "1h"}, {"precision": "3%"}, {"rounds": 9}])
def test_the_hash_leaves_out_how_long_and_how_precisely_is_measured(changed):
    assert scenario_from({**BOTH, **changed}).hash == scenario_from(BOTH).hash


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"operators": {"hyena": {}}},
        {"operators": {"hyena": {"order": 3}, "flash": {}}},
        {"operators": {"hyena": {}, "flash": {"implementations": ["sdpa"]}}},
        {"scope": "core"},
        {"phases": ["forward"]},
        {"lengths": {"to": "64k"}},
        {"batch": 2},
        {"width": 512},
        {"heads": 6},
        {"dtype": "float32"},
        {"device": "cpu"},
        {"seed": 1},
        {"protocol": {"cache": "hot"}},
    ],
)
def test_the_hash_holds_everything_else(changed):
    assert scenario_from({**BOTH, **changed}).hash != scenario_from(BOTH).hash


def test_the_hash_is_the_same_in_every_version():
    # Pinned: folders are named by it, so a change of this value orphans every unfinished run.
    assert scenario_from({**BOTH, "name": "hyena-flash"}).hash == "bb9fcd90"


def test_an_option_set_to_its_default_asks_nothing_else():
    said = scenario_from({"operators": {"hyena": {"order": 2, "frequency": 14, "filter_width": 32}}})
    assert said.operators["hyena"] == OperatorChoice(options=(("filter_width", 32),))


def test_a_whole_number_for_a_real_option_is_that_real_number():
    ((name, value),) = scenario_from({"operators": {"hyena": {"frequency": 1}}}).operators["hyena"].options
    assert (name, repr(value)) == ("frequency", "1.0")


def test_one_value_is_a_list_of_one():
    one = scenario_from({**BOTH, "batch": 8, "width": 128, "heads": 2, "dtype": "float32", "phases": "training"})
    assert (one.batch, one.width, one.heads, one.dtype, one.phases) == (
        (8,),
        (128,),
        (2,),
        (DType.FLOAT32,),
        (Phase.TRAINING,),
    )


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ({"from": "1k", "to": "8k"}, (1024, 2048, 4096, 8192)),
        ({"from": 100, "to": 1000, "factor": 3}, (100, 300, 900)),
        ({"from": 64, "to": 100, "factor": 1.25}, (64, 80, 100)),
        ({"from": 1, "to": 4, "factor": 1.05}, (1, 2, 3, 4)),
        ({"to": 512}, (512,)),
        ({"to": "4k"}, (1024, 2048, 4096)),
        ({"from": "1M", "to": "1M"}, (1048576,)),
        ({"from": "128k"}, (131072,)),
        (["8k", 1000, "1_000", 8192], (1000, 8192)),
        ("3k", (3072,)),
        (777, (777,)),
    ],
)
def test_lengths_are_a_range_a_list_or_one(lengths, expected):
    assert lengths_of(lengths) == expected


def test_lengths_go_below_the_first_only_where_none_was_given():
    assert scenario_from({**BOTH, "lengths": {"to": "8k"}}).extend_below
    assert not scenario_from({**BOTH, "lengths": {"from": "1k"}}).extend_below
    assert not scenario_from({**BOTH, "lengths": [1024]}).extend_below


@pytest.mark.parametrize(("width", "heads"), [(768, 12), (64, 1), (32, 1), (96, 1), (2048, 32)])
def test_heads_are_one_for_each_64_channels_and_at_least_one(width, heads):
    assert scenario_from({**BOTH, "width": width}).heads_of(width) == (heads,)


@pytest.mark.parametrize(
    ("text", "said", "hinted"),
    [
        (OPERATORS + "\nwdth: 3\n", "unknown key 'wdth' in question.yaml line 3", "did you mean 'width'?"),
        ("operators: {hyenna: {}}", "no operator 'hyenna'", "did you mean 'hyena'?"),
        ("operators: {hyena: {ordr: 3}}", "operator 'hyena' has no option 'ordr'", "did you mean 'order'?"),
        ("operators: {hyena: {implementations: ftf}}", "no implementation 'ftf'", "did you mean 'fft'?"),
        ("operators: {hyena: {order: two}}", "hyena.order='two' is not of type int", "the default is 2"),
        ("operators: {hyena: {window: 1}}", "hyena.window=1 is not of type bool", "the default is True"),
        ("operators: {hyena: {order: true}}", "hyena.order=True is not of type int", "the default is 2"),
        ("operators: {hyena: {order: [2, 3]}}", "option 'order' is set to [2, 3]", "order: 3"),
        ("operators: {hyena: {1: 2, order: 3}}", "option 1 is set to 2", "order: 3"),
        ("operators: {hyena: {frequency: .nan}}", "option 'frequency' is set to nan", "order: 3"),
        ("operators: [hyena, flash]", "question.yaml line 1: operators", "operators: {hyena"),
        ("operators: {hyena: fft}", "question.yaml line 1: operators.hyena 'fft'", "operators: {hyena"),
        ("operators: {}", "question.yaml line 1: operators", "operators: {hyena"),
        ("operators:", "question.yaml line 1: operators", "operators: {hyena"),
        ("width: 64", "operators: field required", "operators: {hyena"),
        (OPERATORS + "lengths: 0", "length 0 is outside 1 to 1M", "1048576"),
        (OPERATORS + "lengths: [1k, 1048577]", "length 1048577 is outside 1 to 1M", "1048576"),
        (OPERATORS + "lengths: {to: 2M}", "length 2M is outside 1 to 1M", "1048576"),
        (OPERATORS + "lengths: {from: 0}", "length 0 is outside 1 to 1M", "1048576"),
        (OPERATORS + "lengths: [1.5]", "1.5 is not a sequence length", "128k"),
        (OPERATORS + "lengths:", "lengths: nothing is given", "lengths: {from: 1k"),
        (OPERATORS + "lengths: []", "question.yaml line 2: lengths", "lengths: {from: 1k"),
        (OPERATORS + "lengths: {form: 1k}", "lengths: no key 'form'", "did you mean 'from'?"),
        (OPERATORS + "lengths: {from: 8k, to: 4k}", "from 8k is past to 4k", "--max-len"),
        (OPERATORS + "lengths: {factor: 1}", "factor 1 does not grow", "at least 1.05"),
        (OPERATORS + "lengths: {factor: .inf}", "factor inf does not grow", "at least 1.05"),
        (OPERATORS + "lengths: {factor: .nan}", "factor nan does not grow", "at least 1.05"),
        (OPERATORS + "lengths: {factor: two}", "factor 'two' does not grow", "at least 1.05"),
        (OPERATORS + "heads: 5", "5 heads do not divide width 768", "heads that divide it"),
        (OPERATORS + "width: [64, 100]\nheads: 8", "8 heads do not divide width 100", "heads that divide it"),
        (OPERATORS + "heads: 0", "0 heads do not divide width 768", "heads that divide it"),
        (OPERATORS + "width: 200", "width 200 does not split into heads", "--heads"),
        (OPERATORS + "width: 0", "width 0 is below 1", "768"),
        (OPERATORS + "width: wide", "question.yaml line 2: width 'wide'", "whole number"),
        (OPERATORS + "width: 64.5", "question.yaml line 2: width 64.5", "whole number"),
        (OPERATORS + "batch: 0", "question.yaml line 2: batch 0", "at least 1"),
        (OPERATORS + "batch: [1, -8]", "question.yaml line 2: batch -8", "at least 1"),
        (OPERATORS + "device: gpu", "no device 'gpu'", "did you mean 'cpu'?"),
        (OPERATORS + "device: 'cuda:x'", "no device 'cuda:x'", "cuda"),
        (OPERATORS + "device: 'cuda:'", "no device 'cuda:'", "cuda"),
        (OPERATORS + "device: 1", "question.yaml line 2: device 1", "cuda"),
        (OPERATORS + "phases: forwrd", "question.yaml line 2: phases 'forwrd'", "did you mean 'forward'?"),
        (OPERATORS + "phases: []", "question.yaml line 2: phases", "training"),
        (OPERATORS + "dtype: flaot32", "question.yaml line 2: dtype 'flaot32'", "did you mean 'float32'?"),
        (OPERATORS + "scope: core\nprotocol: {inputs: ones}", "a core is never timed on ones", "scope: layer"),
        (OPERATORS + "protocol: {inputs: one}", "protocol.inputs 'one'", "did you mean 'ones'?"),
        (OPERATORS + "scope: lyer", "question.yaml line 2: scope 'lyer'", "did you mean 'layer'?"),
        (OPERATORS + "budget: ten", "'ten' is not a duration", "10m"),
        (OPERATORS + "budget: 0", "duration 0 is not positive", "10m"),
        (OPERATORS + "precision: 2.0", "2.0 is not a fraction", "2%"),
        (OPERATORS + "rounds: 0", "question.yaml line 2: rounds 0", "1 to 1000"),
        (OPERATORS + "seed: -1", "question.yaml line 2: seed -1", "whole number from 0"),
        (OPERATORS + "seed: 9223372036854775808", "question.yaml line 2: seed", "2**63 - 1"),
        (OPERATORS + "name: ../above", "question.yaml line 2: name '../above'", "letters"),
        (OPERATORS + "name: 5", "question.yaml line 2: name 5", "letters"),
        (
            OPERATORS + "protocol: {cash: hot}",
            "unknown key 'protocol.cash' in question.yaml line 2",
            "did you mean 'cache'?",
        ),
        (OPERATORS + "protocol: {cache: warm}", "protocol.cache 'warm'", "known: cold, hot"),
        (OPERATORS + "protocol: cold", "question.yaml line 2: protocol 'cold'", "protocol: {cache: cold"),
        (
            OPERATORS + "width: 64\nwidth: 128",
            "key 'width' stands twice in question.yaml, in lines 2 and 3",
            "keep one",
        ),
        (OPERATORS + "purpose: [", "question.yaml is not valid YAML", "shipped scenario"),
        (OPERATORS + "? [a]\n: b", "question.yaml is not valid YAML", "shipped scenario"),
        (OPERATORS + "name: 2024-13-45", "question.yaml is not valid YAML: month must be", "shipped scenario"),
        (OPERATORS + "name: " + "[" * 500, "question.yaml is not valid YAML", "shipped scenario"),
        (OPERATORS + "purpose: '\0'", "question.yaml is not valid YAML", "shipped scenario"),
        ("", "question.yaml holds no mapping", "operators:"),
        ("- hyena\n- flash\n", "question.yaml holds no mapping", "operators:"),
        ("hyena", "question.yaml holds no mapping", "operators:"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence_with_a_hint(page, text, said, hinted):
    message, hint = page(text)
    assert said in message
    assert "\n" not in message
    assert hinted in hint


def test_an_unknown_operator_is_named_before_its_characters_are_judged():
    with pytest.raises(ScenarioError, match="no operator 'hy/ena'"):
        scenario_from({"name": "hy/ena", "operators": {"hy/ena": {}}})


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.mkdir", "!!python/object/new:os.mkdir", "!!python/name:os.mkdir"]
)
def test_a_python_tag_is_refused_and_nothing_of_it_runs(page, tmp_path, tag):
    made = tmp_path / "made"
    message, _ = page(OPERATORS + f"purpose: {tag} ['{made}']\n")
    assert message.startswith("question.yaml is not valid YAML: could not determine a constructor")
    assert not made.exists()


def test_a_page_that_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(ScenarioError, match=f"cannot read scenario {path.name}"):
            load_scenario(path)
    (tmp_path / "latin.yaml").write_bytes(b"purpose: \xe9\n")
    with pytest.raises(ScenarioError, match=r"cannot read scenario latin\.yaml"):
        load_scenario(tmp_path / "latin.yaml")


def test_a_page_without_a_name_is_named_after_its_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(OPERATORS, encoding="utf-8")
    assert load_scenario(path).name == "mine"


def test_flags_are_validated_without_a_files_name():
    with pytest.raises(ScenarioError) as caught:
        scenario_from({**BOTH, "rounds": 0})
    assert caught.value.message.startswith("the flags: rounds 0: ")


def test_every_shipped_scenario_reads_and_holds_on_one_page():
    shipped = scenario_files()
    assert set(shipped) >= {"hyena-vs-flash", "modern", "quick"}
    for name, path in shipped.items():
        scenario = load_scenario(path)
        assert scenario.name == name
        assert scenario.purpose
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 40


def test_the_design_pages_first_scenario_is_what_the_flags_give():
    path = scenario_files()["hyena-vs-flash"]
    flags = scenario_from(
        {
            "name": "hyena-vs-flash",
            "purpose": load_scenario(path).purpose,
            "operators": {"hyena": {"implementations": ["fft"]}, "flash": {"implementations": ["sdpa"]}},
            "lengths": {"from": "1k", "to": "128k"},
        }
    )
    assert flags == load_scenario(path)


def test_a_page_is_written_as_plain_yaml():
    raw = yaml.safe_load(scenario_from({**BOTH, "lengths": {"to": "2k"}}).to_yaml())
    assert raw["lengths"] == [1024, 2048]
    assert raw["operators"] == {"hyena": {"implementations": []}, "flash": {"implementations": []}}
    assert raw["budget"] == 600.0


def test_precision_is_the_scenario_s_else_one_per_cent_but_five_on_a_cpu():
    plain, asked = scenario_from(BOTH), scenario_from({**BOTH, "precision": "2%"})
    assert (plain.precision_on("cpu"), plain.precision_on("cuda"), asked.precision_on("cpu")) == (0.05, 0.01, 0.02)


@pytest.mark.parametrize("name", sorted(OPERATOR_TABLE))
def test_every_option_that_is_a_word_has_its_choices(name):
    entry = OPERATOR_TABLE[name]
    words = {option: default for option, default in entry.options.items() if isinstance(default, str)}
    assert set(entry.choices) == set(words)
    assert all(default in entry.choices[option] for option, default in words.items())


def test_what_stands_twice_is_measured_once():
    twice = {
        "lengths": ["1k", 1024, 2048],
        "batch": [1, 8, 1],
        "width": [64, 64],
        "heads": [1, 2, 1],
        "dtype": ["auto", "float32", "auto"],
        "phases": ["training", "forward", "training"],
        "operators": {"hyena": {"implementations": ["fft", "chunked", "fft"]}},
    }
    once = {
        "lengths": [1024, 2048],
        "batch": [1, 8],
        "width": 64,
        "heads": [1, 2],
        "dtype": ["auto", "float32"],
        "phases": ["training", "forward"],
        "operators": {"hyena": {"implementations": ["fft", "chunked"]}},
    }
    assert scenario_from(twice) == scenario_from(once)
