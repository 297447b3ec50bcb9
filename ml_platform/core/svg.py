"""Small charts as Markdown images, short enough for Dagster's UI to show them without a click.

The UI renders Markdown metadata inline only below 1,000 characters, and a percent-encoded SVG data URI is the one
kind of picture that fits. Every function here returns such a text, thinning points or bars until it does; it takes
any numbers and draws what is finite. Mid-tone colours on no background read on a light and on a dark page.
What to draw is decided by the caller.
"""

import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

MAX_MARKDOWN = 999
"""Dagster hides Markdown of 1,000 characters or more behind a link."""

WIDTH, HEIGHT = 320, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 8, 34, 14
# Contrast of at least 3.6 on white and on the dark page's near-black, and apart for eyes that mix red and green.
_COLORS = ("royalblue", "chocolate")
_MAX_TITLE, _MAX_LABEL = 46, 24
_MAX_POINTS, _MAX_BARS = 80, 40
_WRITTEN_OUT = 10**6

Point = tuple[float, float]


def line_chart(
    xs: Sequence[float], ys: Sequence[float], *, title: str, reference: float | None = None, ends_at_zero: bool = False
) -> str:
    """Draw one line, and a dashed horizontal one at ``reference``.

    Args:
        xs: Positions, in order.
        ys: Values; those that are not finite are left out.
        title: What it shows.
        reference: A value to compare with, such as a threshold.
        ends_at_zero: Whether the value axis must include 0.
    """
    extra = [0.0] if ends_at_zero else []
    return _lines([_points(xs, ys)], title=title, names=(), reference=reference, values=extra)


def two_lines(
    first: tuple[Sequence[float], Sequence[float]],
    second: tuple[Sequence[float], Sequence[float]],
    *,
    title: str,
    names: tuple[str, str],
    unit_square: bool = False,
    mark: Point | None = None,
) -> str:
    """Draw two lines in one frame, each with its own positions.

    Args:
        first: Positions and values of the first line.
        second: Positions and values of the second; it may be empty.
        title: What it shows.
        names: Legend of both lines.
        unit_square: Whether both axes go from 0 to 1.
        mark: A point to point out.
    """
    corners = [0.0, 1.0] if unit_square else []
    return _lines(
        [_points(*first), _points(*second)],
        title=title,
        names=names,
        positions=corners,
        values=corners,
        mark=mark,
    )


def sparkline(values: Sequence[float], *, title: str = "", threshold: float | None = None) -> str:
    """Draw values over time in one small row, with a dashed line at ``threshold``."""
    points = _points(range(len(values)), values)
    y_range = _range([y for _, y in points] + _finite(threshold))
    right, top, bottom = WIDTH - 40, 18, 46

    def place(point: Point) -> tuple[int, int]:
        across = _scaled(point[0], (0.0, max(len(values) - 1, 1)), 1, right)
        return round(across), round(_scaled(point[1], y_range, bottom, top))

    def draw(count: int) -> str:
        parts = [_text(0, 11, _short(title, _MAX_TITLE))]
        parts.append(_dashed(*((place((0, level)), place((len(values), level))) for level in _finite(threshold))))
        parts.append(_polyline([place(point) for point in _thinned(points, count)], _COLORS[0]))
        if not points:
            parts.append(_text(_LEFT, 36, "no data"))
        else:
            parts.append(_text(right + 4, place(points[-1])[1] + 3, _number(points[-1][1])))
        return _document(parts, 50)

    return _fitting(title, draw, min(len(points), _MAX_POINTS), least=0)


def bars(
    labels: Sequence[str], values: Sequence[float], *, title: str, thresholds: Sequence[float] = (), digits: int = 3
) -> str:
    """Draw one horizontal bar per label, the longest first; those that do not fit are counted in the title.

    Args:
        labels: Name of each bar.
        values: Length of each bar; those that are not finite or negative are drawn as 0.
        title: What it shows.
        thresholds: Values that are marked by a dashed vertical line.
        digits: Decimals of the printed values.
    """
    ranked = sorted(zip(labels, values, strict=True), key=lambda bar: -_positive(bar[1]))

    def draw(count: int) -> str:
        shown = ranked[:count]
        more = f" (top {count} of {len(ranked)})" if count < len(ranked) else ""
        return _horizontal_bars(shown, _short(title, _MAX_TITLE) + more, thresholds, digits)

    return _fitting(title, draw, min(len(ranked), _MAX_BARS), least=0)


def grouped_bars(
    edges: Sequence[float], first: Sequence[float], second: Sequence[float], *, title: str, names: tuple[str, str]
) -> str:
    """Draw two histograms over the same bins, bars side by side, as shares of the larger height.

    Args:
        edges: Boundaries of the bins, one more than there are bins.
        first: Height of the first histogram's bars.
        second: Height of the second histogram's bars.
        title: What it shows.
        names: Legend of both histograms.

    Raises:
        ValueError: When heights and edges do not belong together.
    """
    if not len(first) == len(second) == len(edges) - 1:
        raise ValueError(f"{len(edges)} edges need {len(edges) - 1} bars, not {len(first)} and {len(second)}")

    def draw(count: int) -> str:
        return _vertical_bars(edges, (_merged(first, count), _merged(second, count)), _short(title, _MAX_TITLE), names)

    return _fitting(title, draw, min(len(first), _MAX_BARS), least=0)


def _fitting(title: str, draw: Callable[[int], str], most: int, least: int) -> str:
    """The drawing with the most parts whose Markdown stays below the limit."""
    for parts in range(most, least - 1, -1):
        markdown = f"![{_alternative(title)}](data:image/svg+xml,{quote(draw(parts), safe=_SAFE)})"
        if len(markdown) <= MAX_MARKDOWN:
            return markdown
    raise AssertionError(f"the frame of {title!r} alone is too long")


# Characters that need no escape in a data URI inside a Markdown link; each escape costs two of our thousand.
_SAFE = "/:=',;+!*-._~$"


def _alternative(title: str) -> str:
    return re.sub(r"[^\w .,:;@%/+=-]", " ", _short(title, 40), flags=re.ASCII)


def _lines(
    series: list[list[Point]],
    *,
    title: str,
    names: Sequence[str],
    reference: float | None = None,
    positions: Sequence[float] = (),
    values: Sequence[float] = (),
    mark: Point | None = None,
) -> str:
    every = [point for line in series for point in line]
    level = _finite(reference)
    x_range = _range([x for x, _ in every] + list(positions))
    y_range = _range([y for _, y in every] + list(values) + level)

    def place(point: Point) -> tuple[int, int]:
        return (
            round(_scaled(point[0], x_range, _LEFT, WIDTH - _RIGHT)),
            round(_scaled(point[1], y_range, HEIGHT - _BOTTOM, _TOP)),
        )

    def draw(count: int) -> str:
        parts = [_frame(HEIGHT), *_axis_labels(x_range, y_range, HEIGHT, empty=not every)]
        if level:
            parts.append(_dashed((place((x_range[0], level[0])), place((x_range[1], level[0])))))
        if mark:
            x, y = place(mark)
            parts.append(f"<circle cx='{x}' cy='{y}' r='4'/>")
        for line, color in zip(series, _COLORS, strict=False):
            parts.append(_polyline([place(point) for point in _thinned(line, count)], color))
        return _document([_text(0, 11, _short(title, _MAX_TITLE)), *_legend(names), *parts], HEIGHT)

    return _fitting(title, draw, min(max(map(len, series), default=0), _MAX_POINTS), least=0)


def _horizontal_bars(shown: Sequence[tuple[str, float]], title: str, thresholds: Sequence[float], digits: int) -> str:
    left, row = 166, 13
    height = 22 + row * len(shown)
    levels = [level for level in thresholds if math.isfinite(level) and level > 0]
    longest = max([_positive(value) for _, value in shown] + levels[:1], default=0.0) or 1.0
    room = WIDTH - left - 4
    parts = [_text(0, 11, title)]
    strokes = []
    for index, (label, value) in enumerate(shown):
        y = 29 + row * index
        length = round(_positive(value) / longest * room)
        strokes.append(f"M{left},{y - 3}h{max(length, 1)}")
        number = f"{value:.{digits}f}" if abs(value) < _WRITTEN_OUT else _number(value)
        parts.append(_text(0, y, f"{_short(label, _MAX_LABEL)} {number}"))
    if strokes:
        parts.append(f"<path d='{''.join(strokes)}' stroke='{_COLORS[0]}' stroke-width='8'/>")
    else:
        parts.append(_text(left, 11, "no data"))
    marks = [left + round(level / longest * room) for level in levels if level <= longest]
    return _document([*parts, _dashed(*(((x, 18), (x, height)) for x in marks))], height)


def _vertical_bars(edges: Sequence[float], heights: Sequence[Sequence[float]], title: str, names: Sequence[str]) -> str:
    tallest = max([_positive(value) for group in heights for value in group] + [0.0])
    step = (WIDTH - _LEFT - _RIGHT) / max(len(heights[0]), 1)
    width = max(int(step * 0.4), 1)
    base = HEIGHT - _BOTTOM
    parts = [_frame(HEIGHT), *_axis_labels((edges[0], edges[-1]), (0.0, tallest), HEIGHT, empty=tallest == 0)]
    for group, (values, color) in enumerate(zip(heights, _COLORS, strict=False)):
        strokes = []
        for index, value in enumerate(values):
            x = round(_LEFT + step * index + width * (group + 0.7))
            up = round(_positive(value) / (tallest or 1.0) * (base - _TOP))
            # A bar that exists must be seen, however short: a rare class lives in such bars.
            if _positive(value) > 0:
                strokes.append(f"M{x},{base}v-{max(up, 1)}")
        if strokes:
            parts.append(f"<path d='{''.join(strokes)}' stroke='{color}' stroke-width='{width}'/>")
    return _document([_text(0, 11, title), *_legend(names), *parts], HEIGHT)


def _document(parts: Sequence[str], height: int) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' fill='gray' "
        f"style='font:10px sans-serif'>{''.join(parts)}</svg>"
    )


def _text(x: int, y: int, words: str, *, color: str = "") -> str:
    across = f" x='{x}'" if x else ""
    fill = f" fill='{color}'" if color else ""
    return f"<text{across} y='{y}'{fill}>{_escaped(words)}</text>"


def _legend(names: Sequence[str]) -> Iterator[str]:
    for index, (name, color) in enumerate(zip(names, _COLORS, strict=False)):
        if name:
            yield _text(_LEFT + 110 * index, 25, _short(name, 18), color=color)


def _frame(height: int) -> str:
    return f"<path d='M{_LEFT},{_TOP}V{height - _BOTTOM}H{WIDTH - _RIGHT}' stroke='gray' fill='none'/>"


def _axis_labels(x_range: Point, y_range: Point, height: int, *, empty: bool) -> Iterator[str]:
    if empty:
        yield _text(_LEFT + 90, (height + _TOP) // 2, "no data")
        return
    yield _text(0, _TOP + 6, _number(y_range[1]))
    yield _text(0, height - _BOTTOM, _number(y_range[0]))
    yield _text(_LEFT, height - 2, _number(x_range[0]))
    last = _number(x_range[1])
    yield _text(WIDTH - _RIGHT - 6 * len(last), height - 2, last)


def _polyline(points: Sequence[tuple[int, int]], color: str) -> str:
    """One path of relative steps: the shortest way to write a line."""
    if not points:
        return ""
    (x, y), *rest = points
    path = f"M{x},{y}l" if rest else f"M{x},{y}h1"
    for next_x, next_y in rest:
        step = f"{next_x - x},{next_y - y}"
        path += step if path.endswith("l") or step.startswith("-") else f",{step}"
        x, y = next_x, next_y
    return f"<path d='{path.replace(',-', '-')}' stroke='{color}' stroke-width='2' fill='none'/>"


def _dashed(*segments: tuple[tuple[int, int], tuple[int, int]]) -> str:
    path = "".join(f"M{start[0]},{start[1]}L{end[0]},{end[1]}" for start, end in segments)
    return f"<path d='{path}' stroke='gray' stroke-dasharray='3'/>" if path else ""


def _points(xs: Sequence[float], ys: Sequence[float]) -> list[Point]:
    pairs = ((float(x), float(y)) for x, y in zip(xs, ys, strict=True))
    return [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]


def _thinned(points: list[Point], count: int) -> list[Point]:
    """At most ``count`` points, evenly spread, both ends kept."""
    if len(points) <= count:
        return points
    if count < 2:  # noqa: PLR2004 - two ends
        return points[:count]
    last = len(points) - 1
    return [points[round(index * last / (count - 1))] for index in range(count)]


def _merged(values: Sequence[float], count: int) -> list[float]:
    """The values summed into ``count`` groups of neighbours."""
    return [
        sum(_positive(value) for value in values[index * len(values) // count : (index + 1) * len(values) // count])
        for index in range(count)
    ]


def _range(values: Sequence[float]) -> Point:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return (0.0, 1.0)
    low, high = min(finite), max(finite)
    if low == high:
        around = 0.5 if abs(low) < 2**50 else abs(low) / 2
        return max(low - around, -sys.float_info.max), min(high + around, sys.float_info.max)
    return low, high


def _scaled(value: float, source: Point, start: float, end: float) -> float:
    # Halves keep the difference of two huge numbers finite.
    share = (value / 2 - source[0] / 2) / (source[1] / 2 - source[0] / 2)
    return start + min(max(share, 0.0), 1.0) * (end - start)


def _positive(value: float) -> float:
    return value if math.isfinite(value) and value > 0 else 0.0


def _number(value: float) -> str:
    """Three figures, and no exponent where a person would write none."""
    if 1000 <= abs(value) < _WRITTEN_OUT:  # noqa: PLR2004 - four to six digits fit beside an axis
        return f"{value / 1000:.3g}k"
    return f"{value:.3g}"


def _finite(value: float | None) -> list[float]:
    return [value] if value is not None and math.isfinite(value) else []


def _short(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "~"


def _escaped(words: str) -> str:
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in words)
    return plain.replace("&", "+").replace("<", "(").replace(">", ")").replace("'", "`")
