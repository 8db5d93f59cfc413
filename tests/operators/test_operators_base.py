import pytest
import torch

from hyenaprof.errors import OperatorError, ScenarioError, Unsupported
from hyenaprof.model import Phase
from hyenaprof.operators import OPERATORS
from hyenaprof.operators.base import carries_length, fields_of, load, of_phase, quantity_name
from hyenaprof.operators.hyena import Hyena


def test_load_fills_the_defaults_of_the_table():
    operator = load("hyena", {"order": 3})
    assert isinstance(operator, Hyena)
    assert operator.options == {**OPERATORS["hyena"].options, "order": 3}


def test_load_takes_a_whole_number_where_a_float_is_wanted():
    assert load("hyena", {"frequency": 10}).options["frequency"] == 10.0
    assert isinstance(load("hyena", {"frequency": 10}).options["frequency"], float)


def test_an_unknown_operator_is_answered_with_the_nearest():
    with pytest.raises(ScenarioError) as caught:
        load("hiena", {})
    assert caught.value.hint == "did you mean 'hyena'?"


def test_an_unknown_option_is_answered_with_the_nearest():
    with pytest.raises(OperatorError, match="hyena has no option 'ordr'") as caught:
        load("hyena", {"ordr": 3})
    assert caught.value.hint == "did you mean 'order'?"


@pytest.mark.parametrize(
    ("option", "value"),
    [("order", True), ("order", 2.0), ("order", "2"), ("window", 1), ("frequency", "14"), ("frequency", True)],
)
def test_an_option_of_another_type_is_an_error_that_names_it(option, value):
    with pytest.raises(OperatorError, match=f"hyena.{option}={value!r} is not of type"):
        load("hyena", {option: value})


@pytest.mark.parametrize(
    "options",
    [{"order": 1}, {"short_taps": 0}, {"embedding": 4}, {"embedding": 1}, {"filter_depth": 1}, {"filter_width": 0}],
)
def test_values_that_make_no_hyena_are_refused_with_a_hint(options):
    with pytest.raises(OperatorError) as caught:
        load("hyena", options)
    assert caught.value.hint


def test_an_operator_outside_the_table_is_loaded_by_its_import_path(monkeypatch):
    with pytest.raises(OperatorError, match="has no `entry`"):
        load("hyenaprof.operators.hyena:Hyena", {})
    monkeypatch.setattr(Hyena, "entry", OPERATORS["hyena"])
    assert load("hyenaprof.operators.hyena:Hyena", {"order": 4}).options["order"] == 4


def test_an_import_path_that_leads_nowhere_is_a_clear_error():
    with pytest.raises(OperatorError, match=r"no\.such\.module:Class cannot be imported"):
        load("no.such.module:Class", {})
    with pytest.raises(OperatorError, match="is no operator"):
        load("hyenaprof.operators.base:leaf", {})


def test_names_lose_their_dimensions_where_they_have_some():
    assert quantity_name("in_weight_PD") == "in_weight"
    assert quantity_name("in_weight_3HKD") == "in_weight"
    assert quantity_name("x") == "x"
    assert quantity_name("first_weight") == "first_weight"


def test_only_fields_with_an_l_among_their_dimensions_carry_the_length():
    assert carries_length("x_BLD")
    assert not carries_length("short_bias_P")
    assert carries_length("unknown")


def test_inputs_without_names_are_refused():
    with pytest.raises(OperatorError, match="no names"):
        fields_of((torch.ones(1),))


def test_training_takes_a_forward_and_a_backward():
    assert [of_phase(phase, forward=1, backward=2) for phase in (Phase.FORWARD, Phase.BACKWARD, Phase.TRAINING)] == [
        1,
        2,
        3,
    ]
    with pytest.raises(Unsupported):
        of_phase(Phase.DECODE, forward=1, backward=2)
