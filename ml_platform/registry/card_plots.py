"""The plots of a model card's page, as inline SVG that scales with it: what costs, finds, means, and stays.

Colours and text are the page's own style, so that they read on a light and on a dark page. Every number is a number
of ours; words from outside are escaped.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from ml_platform.modeling.cost_curve import CostCurve
from ml_platform.modeling.score_stability import ScoreStability

STYLE = """
figure{margin:1rem 0}figcaption{font-size:.9rem}svg{width:100%;max-width:44rem;height:auto;display:block}
svg text{font:12px system-ui,sans-serif;fill:currentColor}svg path{fill:none}svg .axis{stroke:#8886}
svg .this{stroke:#0072b2;stroke-width:2.5}svg .before{stroke:#b3589a;stroke-width:2.5;stroke-dasharray:7 4}
svg .level{stroke:#888;stroke-dasharray:3 3}svg .fraud{fill:#d55e00}svg .decline{fill:#e69f00}svg .review{fill:#56b4e9}
svg .fraud,svg .decline,svg .review{fill-opacity:.55}svg .bar{fill:#0072b2}svg .dot{fill:#0072b2}
svg.range{width:7rem;display:inline-block;vertical-align:middle}
.key{display:inline-block;width:.9em;height:.9em;margin-right:.3em;vertical-align:-.1em}
figcaption span{white-space:nowrap;margin-right:1em}
.key.this{background:#0072b2}.key.before{background:#b3589a}.key.fraud{background:#d55e008c}
.key.decline{background:#e69f008c}.key.review{background:#56b4e98c}
@media(prefers-color-scheme:dark){svg .this{stroke:#6cb6f0}svg .bar,svg .dot{fill:#6cb6f0}svg .before{stroke:#dd8fc8}
.key.this{background:#6cb6f0}.key.before{background:#dd8fc8}}
"""
WARNING_PSI = 0.1
_NAMED_DAYS = 14
_FAR = 2
"""A line so many times as high as what is to be seen would press it flat: it is told instead."""

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 280, 64, 14, 18, 46

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Frame:
    """A chart's axes: from what is measured to where it is drawn."""

    x: Point
    y: Point
    rooted: bool = False
    """Whether both axes are of square roots: what is rare lies close to 0."""

    def place(self, point: Point) -> str:
        """Return where a point is, as SVG writes it."""
        across = (point[0] - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (point[1] - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        if self.rooted:
            across, up = math.sqrt(max(across, 0)), math.sqrt(max(up, 0))
        left = _LEFT + across * (_WIDTH - _LEFT - _RIGHT)
        top = _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)
        return f"{left:.1f},{top:.1f}"

    def line(self, points: Iterable[Point], kind: str) -> str:
        """Return a line through the points."""
        return f'<path class="{kind}" d="M{"L".join(self.place(point) for point in points)}"/>'

    def area(self, upper: Sequence[Point], lower: Sequence[Point], kind: str) -> str:
        """Return what lies between two lines."""
        edge = "L".join(self.place(point) for point in (*upper, *reversed(lower)))
        return f'<path class="{kind}" style="stroke:none" d="M{edge}Z"/>'

    def chart(self, parts: Iterable[str], *, told: str, x_label: str, y_label: str, names: Sequence[str] = ()) -> str:
        """Return the whole picture.

        Args:
            parts: What is drawn between the axes.
            told: What it says, for those who cannot see it.
            x_label: What is measured across.
            y_label: What is measured upward.
            names: Of the columns between 0, 1, 2 …; default: numbers.
        """
        ticks = [*self._across(x_label, names), *self._upward(y_label)]
        return (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(told)}">'
            f"{''.join((*ticks, *parts))}</svg>"
        )

    def _across(self, label: str, names: Sequence[str]) -> Iterator[str]:
        named = [(index + 0.5, escape(name)) for index, name in enumerate(names)]
        for value, shown in named or [(value, _number(value)) for value in _ticks(self.x)]:
            x, y = self.place((value, self.y[0])).split(",")
            yield f'<text x="{x}" y="{float(y) + 16:.1f}" text-anchor="middle">{shown}</text>'
        yield f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(label)}</text>'

    def _upward(self, label: str) -> Iterator[str]:
        for value in _ticks(self.y):
            x, y = self.place((self.x[0], value)).split(",")
            yield f'<path class="axis" d="M{x},{y}H{_WIDTH - _RIGHT}"/>'
            yield f'<text x="{_LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{_number(value)}</text>'
        yield f'<text x="4" y="12">{escape(label)}</text>'


def cost_chart(curve: CostCurve, champion: CostCurve | None) -> str:
    """Return what 1,000 payments cost by the reviews of a day: this version's parts, and the version before."""
    xs = curve.reviews_per_day if len(curve.reviews_per_day) > 1 else (0.0, 1.0)
    lines = [list(zip(xs, [0.0] * len(xs), strict=True))]
    for part in (curve.fraud_losses, curve.false_declines, curve.reviews):
        values = part if len(part) > 1 else part * 2
        lines.append([(x, under + value) for (x, under), value in zip(lines[-1], values, strict=True)])
    before = list(zip(champion.reviews_per_day, champion.costs, strict=True)) if champion else []
    before = [point for point in before if point[0] <= xs[-1]]
    highest = max(y for _, y in (*lines[-1], *before))
    near = curve.doing_nothing <= _FAR * highest
    top = max(highest, curve.doing_nothing) if near else highest
    frame = _Frame((0, xs[-1]), (0, top * 1.05 or 1))
    x, y = frame.place((curve.reviews_per_day[curve.chosen], curve.cost)).split(",")
    parts = [
        *(
            frame.area(upper, lower, kind)
            for kind, lower, upper in zip(("fraud", "decline", "review"), lines, lines[1:], strict=False)
        ),
        *(_approving_everything(frame, curve) if near else ()),
        *([frame.line(before, "before")] if before else []),
        frame.line(lines[-1], "this"),
        f'<path class="level" d="M{x},{y}V{_HEIGHT - _BOTTOM}"/><circle class="dot" cx="{x}" cy="{y}" r="5"/>',
    ]
    keys = [("this", "this version"), *([("before", "version before")] if before else [])]
    keys += [("fraud", "fraud losses"), ("decline", "false declines"), ("review", "reviews")]
    chosen = f"{curve.reviews_per_day[curve.chosen]:g} reviews a day cost {curve.cost:.2f}"
    drawn = frame.chart(parts, told=chosen, x_label="reviews a day", y_label="cost of 1,000 payments")
    told = f"Dot: the operating point, {chosen}. Approving everything costs {curve.doing_nothing:.2f}."
    return _figure(told, keys, drawn)


def _approving_everything(frame: _Frame, curve: CostCurve) -> Iterator[str]:
    ends = [(x, curve.doing_nothing) for x in frame.x]
    x, y = frame.place(ends[1]).split(",")
    yield frame.line(ends, "level")
    yield f'<text x="{x}" y="{float(y) - 4:.1f}" text-anchor="end">approve everything</text>'


def recall_chart(points: Sequence[Point], champion: Sequence[Point]) -> str:
    """Return precision by recall."""
    frame = _Frame((0, 1), (0, 1))
    parts = [*([frame.line(champion, "before")] if champion else []), frame.line(points, "this")]
    keys = [("this", "this version"), *([("before", "version before")] if champion else [])]
    told = "Of the payments flagged to find a share of the frauds, how many are frauds."
    return _figure(told, keys, frame.chart(parts, told=told, x_label="recall", y_label="precision"))


def calibration_chart(points: Sequence[Point]) -> str:
    """Return the observed rate of positives by the score that was given, in bins of equal mass."""
    top = max((value for point in points for value in point), default=1.0) * 1.05 or 1.0
    frame = _Frame((0, top), (0, top), rooted=True)
    dots = [frame.place(point).split(",") for point in points]
    parts = [
        frame.line([(0, 0), (top, top)], "level"),
        frame.line(points, "this"),
        *(f'<circle class="dot" cx="{x}" cy="{y}" r="3"/>' for x, y in dots),
    ]
    told = (
        "Each dot is a tenth of the payments; the axes are of square roots. On the dashed line a score is the rate of "
        "fraud that it says."
    )
    return _figure(told, [], frame.chart(parts, told=told, x_label="mean score", y_label="observed rate of fraud"))


def stability_chart(found: ScoreStability) -> str:
    """Return how far each day's scores lie from those of the validation days."""
    shifts = [shift.psi for shift in found.days.values()]
    top = max(*shifts, WARNING_PSI, 0.0) * 1.15
    frame = _Frame((0, len(shifts)), (0, top))
    parts = [frame.line([(0, WARNING_PSI), (len(shifts), WARNING_PSI)], "level")]
    for index, (day, shift) in enumerate(found.days.items()):
        left, y = (float(part) for part in frame.place((index + 0.2, shift.psi)).split(","))
        right, base = (float(part) for part in frame.place((index + 0.8, 0)).split(","))
        parts.append(
            f'<rect class="bar" x="{left:.1f}" y="{min(y, base - 1):.1f}" width="{right - left:.1f}" '
            f'height="{max(base - y, 1):.1f}"><title>{day}: {shift.psi:.3f}</title></rect>'
        )
    told = (
        f"From {min(found.days)} to {max(found.days)}; dashed: {WARNING_PSI}, below which scores count as stable. "
        f"The holdout as a whole: {found.holdout.psi:.3f}."
    )
    label = "day of the holdout"
    drawn = frame.chart(
        parts,
        told=told,
        x_label=label,
        y_label="stability index (PSI) against the validation days",
        names=[f"{day:%m-%d}" for day in found.days] if len(found.days) <= _NAMED_DAYS else (),
    )
    return _figure(told, [], drawn)


def interval_bar(low: float, value: float, high: float) -> str:
    """Return a share with its interval as a small bar from 0 to 1."""
    ends = [round(100 * min(max(share, 0.0), 1.0), 1) for share in (low, value, high)]
    return (
        f'<svg class="range" viewBox="-5 0 110 12" role="img" aria-label="{low:.3f} to {high:.3f}">'
        f'<path class="axis" d="M0,6H100"/><path class="this" d="M{ends[0]},6H{ends[2]}"/>'
        f'<circle class="dot" cx="{ends[1]}" cy="6" r="3.5"/></svg>'
    )


def _figure(told: str, keys: Iterable[tuple[str, str]], drawn: str) -> str:
    legend = " ".join(f'<span><i class="key {kind}"></i>{escape(name)}</span>' for kind, name in keys)
    return f"<figure><figcaption><div>{escape(told)}</div>{legend}</figcaption>{drawn}</figure>"


def _ticks(span: Point) -> list[float]:
    """Round numbers within a span, about five."""
    width = span[1] - span[0]
    if not (math.isfinite(width) and width > 0):
        return [span[0]]
    rough = width / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(span[0] / step - 1e-9)
    return [step * index for index in range(first, math.floor(span[1] / step + 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - four digits want a comma
