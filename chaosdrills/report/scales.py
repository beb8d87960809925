"""From values to places on a page: linear and logarithmic scales, and ticks at round figures."""

import math
from dataclasses import dataclass

from chaosdrills.report import wording

_TIME_STEPS_S = (
    *(step * 10**power for power in (-3, -2, -1) for step in (1, 2, 5)),
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400),
)


@dataclass(frozen=True)
class Scale:
    """Values `low` to `high` onto places `start` to `stop` (either may be the greater); beyond them it clamps."""

    low: float
    high: float
    start: float
    stop: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        share = self._share(min(max(value, self.low), self.high))
        return round(self.start + share * (self.stop - self.start), 1)

    def _share(self, value: float) -> float:
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def round_up(value: float) -> float:
    """The least of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 x 10^n that is not below `value`; 1 for 0 and less."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
    return next((step * power for step in steps if step * power >= value * (1 - 1e-9)), 10 * power)


def ticks(high: float, most: int) -> list[float]:
    """Round values from 0 to at most `high`, at most `most` + 1 of them."""
    step = next(
        step * 10.0**power
        for power in range(math.floor(math.log10(high)) - 2, 400)
        for step in (1, 2, 2.5, 5)
        if high / (step * 10.0**power) <= most + 1e-9
    )
    return [index * step for index in range(int(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """The powers of ten from `low` to `high`."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    return [10.0**power for power in range(first, last + 1)]


def time_ticks(begin_s: float, end_s: float, most: int) -> tuple[list[float], float]:
    """Round instants within [begin, end], at most `most` + 1, and the step between them."""
    span = max(end_s - begin_s, 1e-3)
    step = next((step for step in _TIME_STEPS_S if span / step <= most), 86400.0 * math.ceil(span / 86400 / most))
    first, last = math.ceil(begin_s / step - 1e-9), math.floor(end_s / step + 1e-9)
    return [index * step for index in range(first, last + 1)], step


def time_tick(at_s: float, step_s: float) -> str:
    """A tick relative to the fault: −10 s, 0, +2 min, +6 h."""
    if at_s == 0:
        return "0"
    divisor, unit = (3600, "h") if step_s >= 3600 else (60, "min") if step_s >= 60 else (1, "s")
    return f"{'+' if at_s > 0 else '−'}{round(abs(at_s) / divisor, 3):,g} {unit}"


def latency_tick(value_s: float) -> str:
    """1 ms, 100 ms, 1 s, 10 s; below a millisecond 0.1 ms."""
    return f"{value_s:,.0f} s" if value_s >= 1 else f"{round(value_s * 1000, 3):g} ms"


def value_tick(value: float) -> str:
    """A tick of a linear axis."""
    return wording.number(round(value, 6))
