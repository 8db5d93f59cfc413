from __future__ import annotations

import pytest
from builders import make_scenario
from sweeps import SIDES, make_iteration, make_pairings

from hyenaprof.model import DType, Phase
from hyenaprof.running.plan import dtypes_on, pairings_at, phase_groups, settings_of
from hyenaprof.running.workers import Side

FORWARD, BACKWARD, TRAINING, DECODE = Phase.FORWARD, Phase.BACKWARD, Phase.TRAINING, Phase.DECODE


@pytest.mark.parametrize(
    ("phases", "groups"),
    [
        ((FORWARD, BACKWARD, TRAINING), ((FORWARD,), (BACKWARD, TRAINING))),
        ((TRAINING, FORWARD), ((FORWARD,), (TRAINING,))),
        ((BACKWARD,), ((BACKWARD,),)),
        ((TRAINING, BACKWARD), ((TRAINING, BACKWARD),)),
        ((FORWARD, FORWARD), ((FORWARD,),)),
        ((DECODE, TRAINING, FORWARD), ((DECODE,), (FORWARD,), (TRAINING,))),
    ],
)
def test_backward_and_training_share_an_iteration_that_comes_last(phases, groups):
    assert phase_groups(phases) == groups


def test_settings_are_every_combination_in_the_order_given():
    scenario = make_scenario(batch=[2, 1], width=[128, 64], heads=[1, 2])
    settings = settings_of(scenario, (DType.FLOAT32, DType.BFLOAT16))
    assert len(settings) == len(set(settings)) == 16
    assert [(s.batch, s.width, s.dtype, s.heads) for s in settings[:4]] == [
        (2, 128, DType.FLOAT32, 1),
        (2, 128, DType.FLOAT32, 2),
        (2, 128, DType.BFLOAT16, 1),
        (2, 128, DType.BFLOAT16, 2),
    ]


def test_heads_follow_the_width_where_none_are_given():
    assert [s.heads for s in settings_of(make_scenario(width=[768, 128]), (DType.FLOAT32,))] == [12, 2]


def test_a_length_is_every_side_of_every_setting_and_group():
    pairings = make_pairings(2048, batch=[1, 8])
    assert [(p.setting.batch, [i.side for i in p.iterations], p.iterations[0].with_gradients) for p in pairings] == [
        (1, list(SIDES), False),
        (1, list(SIDES), True),
        (8, list(SIDES), False),
        (8, list(SIDES), True),
    ]
    points = [point for pairing in pairings for iteration in pairing.iterations for point in iteration.points]
    assert len(points) == len(set(points)) == 12
    assert {point.shape.length for point in points} == {2048}


def test_a_point_is_what_the_scenario_asks_for():
    side = Side("hyena", "fft", (("order", 3),))
    scenario = make_scenario(scope="core", phases="forward", width=128, seed=7)
    (pairing,) = pairings_at(64, scenario, sides=(side,), dtypes=(DType.FLOAT16,), device="cuda")
    (point,) = pairing.iterations[0].points
    assert (point.label, point.scope, point.dtype, point.device, point.seed) == (
        "hyena:fft[order=3]",
        "core",
        DType.FLOAT16,
        "cuda",
        7,
    )
    assert (point.shape.batch, point.shape.length, point.shape.width, point.shape.heads) == (1, 64, 128, 2)


@pytest.mark.parametrize(
    ("phases", "whole_call"),
    [((FORWARD,), FORWARD), ((BACKWARD,), TRAINING), ((BACKWARD, TRAINING), TRAINING), ((DECODE,), DECODE)],
)
def test_the_call_behind_a_phase_is_the_whole_iteration(phases, whole_call):
    assert make_iteration("hyena", 1024, *phases).call_point.phase is whole_call


def test_an_iteration_names_all_that_is_read_of_it():
    assert str(make_iteration("flash", 512, BACKWARD, TRAINING)) == "flash:sdpa backward+training L=512"


@pytest.mark.parametrize(
    ("device", "asked", "dtypes"),
    [
        ("cpu", "auto", [DType.FLOAT32]),
        ("cuda", "auto", [DType.BFLOAT16]),
        ("fake", "auto", [DType.BFLOAT16]),
        ("cpu", ["float16", "auto"], [DType.FLOAT16, DType.FLOAT32]),
        ("cpu", ["auto", "float32"], [DType.FLOAT32]),
    ],
)
def test_auto_is_the_dtype_that_suits_the_device_and_no_dtype_stands_twice(device, asked, dtypes):
    assert list(dtypes_on(device, make_scenario(dtype=asked))) == dtypes
