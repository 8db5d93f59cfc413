from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from hyenaprof.report.figures import Crossing, Line, Mark, draw_lines, value_ticks
from hyenaprof.report.lanes import Lane, draw_lanes
from hyenaprof.report.style import BLUE, ORANGE, Look
from hyenaprof.report.svg import standalone
from hyenaprof.units import format_latency

SOLID = (0.0, ())
MEASURED = Mark(1024, 1e-3, 0.9e-3, 1.1e-3, "measured here")
SECOND = Mark(2048, 2e-3, 1.9e-3, 2.1e-3, "and here")
PREDICTED = Mark(4096, 4e-3, None, None, "predicted there", measured=False)
FAILED = Mark(8192, None, None, None, "out of memory", measured=False)


def draw(*marks: Mark, label: str = "hyena", crossings: tuple[Crossing, ...] = ()) -> str:
    line = Line(label, Look(BLUE, "o", SOLID), marks)
    return draw_lines(
        [line], name="figure", title="Forward", y_label="Time of one call", y_format=format_latency, crossings=crossings
    ).svg


def fill_of(svg: str, title: str) -> str:
    marker = re.search(rf"<title>{title}</title>(<use [^>]*>)", svg)
    assert marker, title
    return re.findall(r"fill: ([^;\"]+)", marker[1])[-1]


def test_a_measured_mark_is_filled_and_a_predicted_one_hollow() -> None:
    svg = draw(MEASURED, SECOND, PREDICTED)
    assert fill_of(svg, "measured here") == "var(--blue, #0b62b0)"
    assert fill_of(svg, "predicted there") == "var(--paper, #ffffff)"


def test_a_point_without_a_value_is_hollow_on_the_upper_edge() -> None:
    svg = draw(MEASURED, SECOND, FAILED)
    assert fill_of(svg, "out of memory") == "var(--paper, #ffffff)"
    heights = [
        float(re.search(rf'<title>{title}</title>.*?<use [^>]*y="([0-9.]+)"', svg, re.DOTALL)[1])
        for title in ("out of memory", "and here", "measured here")
    ]
    assert heights == sorted(heights)


def test_hollow_marks_are_named_in_the_legend_only_where_there_are_any() -> None:
    assert ">not measured<" in draw(MEASURED, PREDICTED)
    assert ">not measured<" not in draw(MEASURED, SECOND)


def test_a_crossover_is_written_at_its_line() -> None:
    assert ">1490<" in draw(MEASURED, SECOND, crossings=(Crossing(1490.4, 1430.0, 1560.0),))
    assert ">1490<" not in draw(MEASURED, SECOND)


def test_the_interval_is_a_band_only_between_points_that_have_one() -> None:
    bare = [Mark(length, 1e-3, None, None, "") for length in (1024, 2048)]
    assert "opacity: 0.22" in draw(MEASURED, SECOND)
    assert "opacity: 0.22" not in draw(*bare)


def test_the_interval_of_a_point_alone_is_a_line() -> None:
    bare = Mark(1024, 1e-3, None, None, "")
    assert "opacity: 0.5" in draw(MEASURED)
    assert "opacity: 0.5" not in draw(bare)


def test_the_same_figure_is_the_same_bytes() -> None:
    assert draw(MEASURED, SECOND, PREDICTED) == draw(MEASURED, SECOND, PREDICTED)


def test_a_figure_holds_text_as_text_and_no_metadata() -> None:
    svg = draw(MEASURED, SECOND)
    assert "Time of one call</text>" in svg
    assert "metadata" not in svg
    assert "http" not in svg


def test_every_reference_in_a_figure_is_met_and_prefixed_by_its_name() -> None:
    svg = draw(MEASURED, SECOND, PREDICTED)
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    defined = re.findall(r' id="([^"]+)"', svg)
    assert referred == set(defined)
    assert len(defined) == len(set(defined))
    assert all(name.startswith("figure-") for name in defined)


@pytest.mark.parametrize("label", ['"><img onerror=alert(1)>', "<script>", "$x^$ {2}", "_hidden", "a&b"])
def test_a_label_is_text_whatever_it_holds(label: str) -> None:
    svg = draw(Mark(1024, 1e-3, None, None, label), label=label)
    root = ET.fromstring(standalone(svg, alt=label))  # noqa: S314 -- our own figure
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]
    titles = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("title")]
    assert label.lstrip("_") in texts
    assert titles == [label, label]
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        *("svg", "title", "rect", "g", "path", "defs", "style", "use", "text", "clipPath"),
    }


def test_a_standalone_figure_needs_no_page_for_its_colours() -> None:
    svg = standalone(draw(MEASURED, SECOND), alt="alt")
    assert "var(" not in svg
    assert 'fill="#ffffff"' in svg
    assert BLUE.light in svg


def test_lanes_show_the_leader_by_colour_and_the_undecided_hollow() -> None:
    lane = Lane("forward", "", ((1024, "flash:sdpa", "first"), (2048, None, "second")), (Crossing(1490, None, None),))
    looks = {"flash:sdpa": Look(ORANGE, "s", SOLID)}
    svg = draw_lanes([lane], name="map", looks=looks, names={"flash:sdpa": "flash"}).svg
    assert fill_of(svg, "first") == "var(--orange, #cc4e00)"
    assert fill_of(svg, "second") == "var(--paper, #ffffff)"
    assert ">flash faster<" in svg
    assert ">1490<" in svg


def test_value_ticks_are_powers_of_ten_and_closer_on_a_short_axis() -> None:
    assert value_ticks(0.5e-3, 2.0, base=10) == pytest.approx([1e-3, 1e-2, 1e-1, 1.0])
    assert value_ticks(0.9, 21.0, base=10) == pytest.approx([1, 2, 5, 10, 20])
    assert value_ticks(0.3, 5.0, base=2) == [0.5, 1.0, 2.0, 4.0]


def test_a_long_label_is_shortened_in_a_figure_and_whole_on_hover() -> None:
    label = "hyena:fft[" + "embedding=33," * 20 + "]"
    svg = draw(Mark(1024, 1e-3, None, None, label), label=label)
    assert f"<title>{label}</title>" in svg
    assert f">{label[:35]}…<" in svg


def test_the_label_of_the_y_axis_stands_beside_the_middle_of_the_axes() -> None:
    svg = draw(MEASURED, SECOND)
    label = re.search(r'<text [^>]*y="([0-9.]+)"[^>]*>Time of one call<', svg)
    top = re.search(r'<text [^>]*y="([0-9.]+)"[^>]*>Forward<', svg)
    bottom = re.search(r'<text [^>]*y="([0-9.]+)"[^>]*>1k<', svg)
    assert label
    assert top
    assert bottom
    middle = (float(top[1]) + float(bottom[1])) / 2
    assert float(label[1]) == pytest.approx(middle, abs=12)


def test_figures_use_the_page_s_font() -> None:
    assert set(re.findall(r"font-family: ([^;\"]+)", draw(MEASURED, SECOND))) == {"system-ui, sans-serif"}


def test_a_wild_interval_does_not_flatten_the_figure() -> None:
    def height(*marks: Mark) -> float:
        near, far = (
            float(re.search(rf'<title>{text}</title><use [^>]*y="([0-9.]+)"', draw(*marks))[1])
            for text in ("near", "far")
        )
        return near - far

    calm = (Mark(1024, 1e-3, 0.9e-3, 1.1e-3, "near"), Mark(2048, 4e-3, 3.9e-3, 4.1e-3, "far"))
    wild = (Mark(1024, 1e-3, 1e-7, 10.0, "near"), Mark(2048, 4e-3, 3.9e-3, 4.1e-3, "far"))
    assert height(*wild) > 0.4 * height(*calm)


@pytest.mark.parametrize("value", [1e-3, 1.7e-3, 24 * 2**20, 3 * 2**30, 0.97])
@pytest.mark.parametrize("base", [2, 10])
def test_a_single_value_has_an_axis_with_two_ticks(value: float, base: int) -> None:
    line = Line("hyena", Look(BLUE, "o", SOLID), (Mark(1024, value, None, None, ""),))
    written: list[float] = []
    draw_lines(
        [line], name="one", title="", y_label="", y_base=base, y_format=lambda tick: written.append(tick) or "tick"
    )
    assert len(set(written)) >= 2
