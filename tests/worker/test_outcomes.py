from __future__ import annotations

import pytest
import torch

from hyenaprof.errors import DeviceError, OperatorError, Unsupported
from hyenaprof.model import Outcome
from hyenaprof.pipe import Refusal
from hyenaprof.worker.outcomes import NotDispatched, attempt, outcome_of, reason_of


def cpu_allocation_failure():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), Outcome.OOM),
        (MemoryError(), Outcome.OOM),
        (RuntimeError("std::bad_alloc"), Outcome.OOM),
        (Unsupported("needs Hopper"), Outcome.UNSUPPORTED),
        (DeviceError("no device cuda:7"), Outcome.UNSUPPORTED),
        (NotDispatched("something else ran"), Outcome.INCORRECT),
        (RuntimeError("shapes do not match"), Outcome.CRASHED),
        (ValueError("not enough memory of the past"), Outcome.CRASHED),
    ],
)
def test_every_exception_has_its_outcome(error, outcome):
    assert outcome_of(error) is outcome


def test_torchs_own_allocation_failure_on_the_cpu_is_oom():
    assert outcome_of(cpu_allocation_failure()) is Outcome.OOM


def test_a_librarys_words_are_kept_whole_on_one_line():
    assert reason_of(Unsupported("flash_attn 2.8\nneeds sm_80")) == "flash_attn 2.8 needs sm_80"


def test_our_own_errors_carry_their_hint():
    assert reason_of(OperatorError("no option 'ordr'", hint="did you mean 'order'?")) == (
        "no option 'ordr' (did you mean 'order'?)"
    )


def test_a_crash_names_its_type_its_first_line_and_the_line_that_raised_it():
    empty = []
    ended = attempt(lambda: empty[3])
    assert isinstance(ended, Refusal)
    assert ended.outcome is Outcome.CRASHED
    assert ended.reason.startswith("IndexError: list index out of range (line ")
    assert ended.reason.endswith(" of test_outcomes.py)")


def test_an_exception_without_words_is_named_by_its_type():
    assert reason_of(KeyError()).startswith("KeyError")


def test_a_reason_is_never_longer_than_a_screen():
    assert len(reason_of(RuntimeError("x" * 10_000))) < 500


def test_what_does_not_raise_is_given_back():
    assert attempt(lambda: 42) == 42
