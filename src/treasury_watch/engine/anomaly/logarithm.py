"""Logarithm (对数): ln, exp and halving, the same bits on every machine.

The functions of a C library differ in the last bit from one library and processor to the next. These use only + − × ÷
of doubles, which IEEE 754 rounds in one way, and `frexp`, which only moves bits and is exact.
"""

from __future__ import annotations

from math import frexp

LN2 = 0.6931471805599453
_PARTS = 1_024  # of [0, 1), of which a mantissa uses the upper half
_THIRD = 1.0 / 3.0


def _series(x: float) -> float:
    """ln x for x in [½, 1], by the series of artanh."""
    y = (x - 1.0) / (x + 1.0)
    square, power, total = y * y, y, 0.0
    for odd in range(1, 41, 2):
        total += power / odd
        power *= square
    return total + total


_LN = [0.0] * (_PARTS // 2) + [_series((part + 0.5) / _PARTS) for part in range(_PARTS // 2, _PARTS)]
_INVERSE = [0.0] * (_PARTS // 2) + [_PARTS / (part + 0.5) for part in range(_PARTS // 2, _PARTS)]


def ln(x: float) -> float:
    """The natural logarithm of a positive finite number, within 1e-12 of it, or 1e-15 of its size where that is more.

    The mantissa's part of 1,024 has its logarithm in a table; the rest is three terms of a series.
    """
    mantissa, exponent = frexp(x)
    part = int(mantissa * 1_024.0)
    rest = mantissa * _INVERSE[part] - 1.0
    return exponent * LN2 + (_LN[part] + rest * (1.0 - rest * (0.5 - rest * _THIRD)))


def exp(x: float) -> float:
    """e to the power of x, within 1e-13 of its size; x is taken as at most 700, and below −700 the result is 0."""
    if x < -700.0:
        return 0.0
    x = min(x, 700.0)
    whole = int(x / LN2 + (0.5 if x >= 0.0 else -0.5))
    rest = x - whole * LN2
    term = total = 1.0
    for n in range(1, 18):
        term *= rest / n
        total += term
    return total * float(1 << whole) if whole >= 0 else total / float(1 << -whole)


def halvings(half_life: int, count: int) -> tuple[float, ...]:
    """What is left after 0, 1, … `count` − 1 steps of something that halves in `half_life` of them."""
    step = exp(-LN2 / half_life)
    left, found = 1.0, []
    for at in range(count):
        if at % half_life == 0:
            left = 1.0 / (1 << at // half_life)
        found.append(left)
        left *= step
    return tuple(found)
