from __future__ import annotations

import re
from importlib import resources
from itertools import combinations

import builders
import numpy as np
import pytest

from hyenaprof.report.style import BLUE, FAINT, HUES, INK, OPERATOR_HUES, PAPER, Hue, length_ticks, looks

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
SIGHT = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(float(linear(colour) @ TO_XYZ[1]) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def seen(colour: str, sight: np.ndarray) -> np.ndarray:
    xyz = TO_XYZ @ np.clip(sight @ linear(colour), 0, 1) / WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def css_colour(name: str) -> list[str]:
    css = (resources.files("hyenaprof.report") / "templates" / "report.css").read_text(encoding="utf-8")
    return re.findall(rf"--{name}: (#[0-9a-f]{{6}})", css)


def test_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)


@pytest.mark.parametrize("hue", HUES, ids=lambda hue: hue.name)
def test_every_hue_stands_off_its_ground_by_three_to_one(hue: Hue) -> None:
    assert contrast(hue.light, PAPER.light) >= 3
    assert contrast(hue.dark, PAPER.dark) >= 3


@pytest.mark.parametrize("sight", SIGHT.values(), ids=list(SIGHT))
@pytest.mark.parametrize("side", ["light", "dark"])
def test_any_two_hues_differ_for_every_kind_of_sight(sight: np.ndarray, side: str) -> None:
    distances = [
        float(np.linalg.norm(seen(getattr(one, side), sight) - seen(getattr(other, side), sight)))
        for one, other in combinations(HUES, 2)
    ]
    assert min(distances) >= 11


@pytest.mark.parametrize("hue", [INK, FAINT, BLUE], ids=lambda hue: hue.name)
def test_text_colours_reach_aa_on_page_and_card(hue: Hue) -> None:
    light_card, dark_card = css_colour("card")
    assert min(contrast(hue.light, PAPER.light), contrast(hue.light, light_card)) >= 4.5
    assert min(contrast(hue.dark, PAPER.dark), contrast(hue.dark, dark_card)) >= 4.5


def test_failed_outcomes_reach_aa() -> None:
    light, dark = css_colour("bad")
    assert contrast(light, PAPER.light) >= 4.5
    assert contrast(dark, PAPER.dark) >= 4.5


def test_length_ticks_are_1k_4k_16k_64k() -> None:
    assert length_ticks(1024, 131072) == (1024, 4096, 16384, 65536)


def test_length_ticks_of_two_octaves_are_every_octave() -> None:
    assert length_ticks(1024, 4096) == (1024, 2048, 4096)


def test_length_ticks_of_one_odd_length_are_that_length() -> None:
    assert length_ticks(1023, 1023) == (1023,)


def test_an_operator_keeps_its_colour_and_marker_beside_any_others() -> None:
    hyena, flash = (builders.make_point(name).curve for name in ("hyena", "flash"))
    strangers = [builders.make_point(name).curve for name in ("aft", "mamba", "zoo")]
    alone = looks([hyena])
    among = looks([hyena, flash, *strangers])
    assert alone["hyena:fft"] == among["hyena:fft"]
    assert among["hyena:fft"].hue == OPERATOR_HUES["hyena"]


def test_operators_of_one_report_differ_in_colour_and_marker() -> None:
    curves = [builders.make_point(name).curve for name in ("hyena", "flash", "attention", "aft", "mamba")]
    made = looks(curves).values()
    assert len({look.hue for look in made}) == 5
    assert len({look.marker for look in made}) == 5


def test_implementations_of_one_operator_share_the_colour_and_differ_in_marker_and_dash() -> None:
    curves = [builders.make_point("hyena", implementation=name).curve for name in ("chunked", "fft", "triton")]
    made = looks(curves).values()
    assert len({look.hue for look in made}) == 1
    assert len({look.marker for look in made}) == 3
    assert len({look.dash for look in made}) == 3
