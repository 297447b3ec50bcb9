"""Charts that the UI shows without a click: always short enough, always well-formed, whatever the numbers."""

import math
import re
from urllib.parse import unquote
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ml_platform.core import svg

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
SERIES = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=300)
WORDS = st.text(max_size=200)


def drawn(markdown: str) -> Element:
    """The picture in the Markdown; fails unless the UI would show it."""
    assert len(markdown) < 1000
    found = re.fullmatch(r"!\[[^\]\n]*\]\(data:image/svg\+xml,([^\s()\"<>#]+)\)", markdown)
    assert found, markdown
    return fromstring(unquote(found[1]))  # noqa: S314  # written by the code under test


def words(picture: Element) -> list[str]:
    return [element.text or "" for element in picture.iter("{http://www.w3.org/2000/svg}text")]


def paths(picture: Element, color: str) -> list[str]:
    return [
        path.attrib["d"]
        for path in picture.iter("{http://www.w3.org/2000/svg}path")
        if path.attrib.get("stroke") == color
    ]


@settings(max_examples=80, deadline=None)
@given(SERIES, SERIES, WORDS, WORDS, NUMBERS)
@example([], [], "", "", -1.1984620899082105e308)
def test_lines_of_any_numbers_are_short_and_well_formed(
    first: list[tuple[float, float]], second: list[tuple[float, float]], title: str, name: str, level: float
) -> None:
    xs, ys = [x for x, _ in first], [y for _, y in first]
    drawn(svg.line_chart(xs, ys, title=title, reference=level))
    drawn(svg.sparkline(ys, title=title, threshold=level))
    others = ([x for x, _ in second], [y for _, y in second])
    drawn(svg.two_lines((xs, ys), others, title=title, names=(name, name), unit_square=True, mark=(0.5, 0.5)))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(WORDS, NUMBERS), max_size=60), WORDS, st.lists(NUMBERS, max_size=2))
def test_bars_of_any_numbers_are_short_and_well_formed(
    signals: list[tuple[str, float]], title: str, thresholds: list[float]
) -> None:
    labels, values = [label for label, _ in signals], [value for _, value in signals]
    drawn(svg.bars(labels, values, title=title, thresholds=thresholds))
    edges = [float(edge) for edge in range(len(values) + 1)]
    drawn(svg.grouped_bars(edges, values, values[::-1], title=title, names=(title, title)))


def test_axes_are_labelled_with_the_range_of_the_data() -> None:
    picture = drawn(svg.line_chart([0, 1, 2], [0.25, 0.5, 0.75], title="Average precision"))
    assert words(picture) == ["Average precision", "0.75", "0.25", "0", "2"]


def test_a_line_goes_from_its_first_to_its_last_point() -> None:
    (path,) = paths(drawn(svg.line_chart(range(1000), range(1000), title="up")), "royalblue")
    steps = [int(number) for number in re.findall(r"-?\d+", path)]
    assert (sum(steps[0::2]), sum(steps[1::2])) == (svg.WIDTH - 8, 34)
    assert steps[:2] == [40, svg.HEIGHT - 14]


def test_a_reference_is_inside_the_frame_even_when_no_value_is_near() -> None:
    picture = drawn(svg.line_chart([0, 1], [0.6, 0.7], title="AP", reference=0.1))
    assert "0.1" in words(picture)


def test_values_that_are_not_finite_are_left_out_of_a_line() -> None:
    picture = drawn(svg.line_chart([0, 1, 2], [1.0, math.nan, 2.0], title="gap"))
    assert words(picture)[1:3] == ["2", "1"]


def test_nothing_to_draw_says_so() -> None:
    for markdown in (
        svg.line_chart([], [], title="empty"),
        svg.sparkline([math.nan], title="empty"),
        svg.grouped_bars([0, 1], [0], [0], title="empty", names=("a", "b")),
    ):
        assert "no data" in words(drawn(markdown))


def test_bars_that_do_not_fit_are_counted_and_the_longest_are_kept() -> None:
    labels = [f"terminal_fraud_rate_{number}d" for number in range(30)]
    picture = drawn(svg.bars(labels, list(range(30)), title="PSI", digits=1))
    title, *shown = words(picture)
    assert title == f"PSI (top {len(shown)} of 30)"
    assert shown[0] == "terminal_fraud_rate_29d 29.0"
    assert len(shown) >= 8


def test_a_short_bar_of_a_rare_class_is_still_seen() -> None:
    picture = drawn(svg.grouped_bars([0, 1, 2], [10_000, 1], [1, 0], title="scores", names=("genuine", "fraud")))
    assert paths(picture, "chocolate") == [next(iter(paths(picture, "chocolate")))]
    assert "v-1" in paths(picture, "chocolate")[0]


def test_merging_bins_keeps_every_row() -> None:
    assert sum(svg._merged([1.0] * 37, 10)) == 37


def test_heights_must_fit_the_edges() -> None:
    with pytest.raises(ValueError, match="3 edges need 2 bars"):
        svg.grouped_bars([0, 1, 2], [1], [1, 2], title="x", names=("a", "b"))


def test_words_cannot_break_out_of_the_picture() -> None:
    picture = drawn(svg.bars(["</text><script>alert(1)"], [1.0], title="](javascript:alert(1))<&'\""))
    assert [element.tag.rpartition("}")[2] for element in picture] == ["text", "text", "path"]
