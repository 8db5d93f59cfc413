from __future__ import annotations

import pytest

from hyenaprof import errors
from hyenaprof.errors import DeviceError, FingerprintError, HyenaprofError, ScenarioError, did_you_mean

EXIT_CODES = {
    "HyenaprofError": 2,
    "ScenarioError": 2,
    "JournalError": 2,
    "TableError": 2,
    "MergeError": 1,
    "ToleranceError": 2,
    "BaselineError": 2,
    "OperatorError": 2,
    "DeviceError": 3,
    "FingerprintError": 3,
    "GateError": 2,
    "NothingMeasuredError": 3,
    "WorkerError": 3,
}


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
def test_each_error_carries_its_exit_code(name, code):
    assert getattr(errors, name)("text").exit_code == code


def test_no_error_is_missing_from_the_table_of_exit_codes():
    defined = {
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, HyenaprofError)
    }
    assert defined == set(EXIT_CODES)


def test_an_error_keeps_message_and_hint_apart():
    error = ScenarioError("no operator 'flsh'", hint="did you mean 'flash'?")
    assert (str(error), error.message, error.hint) == (
        "no operator 'flsh'",
        "no operator 'flsh'",
        "did you mean 'flash'?",
    )


def test_a_hint_may_be_missing():
    assert DeviceError("no device").hint is None


def test_an_unsupported_implementation_is_no_user_error():
    assert not issubclass(errors.Unsupported, HyenaprofError)
    assert issubclass(FingerprintError, HyenaprofError)


def test_the_nearest_word_is_proposed():
    assert did_you_mean("flsh", ["hyena", "flash", "attention"]) == "did you mean 'flash'?"


def test_all_words_are_listed_sorted_when_none_is_near():
    assert did_you_mean("zzz", ["hyena", "flash"]) == "known: flash, hyena"


def test_an_empty_vocabulary_says_so():
    assert did_you_mean("zzz", []) == "known: none"
