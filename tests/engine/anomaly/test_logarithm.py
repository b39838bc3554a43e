"""Logarithms are right to the stated error, and the same bits everywhere."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treasury_watch.engine.anomaly.logarithm import exp, halvings, ln

_DIGEST = """
import hashlib, struct
from treasury_watch.engine.anomaly.logarithm import exp, ln
values = [ln(n / 7) for n in range(1, 9999)] + [ln(n**9) for n in range(1, 999)]
values += [exp(n / 7) for n in range(-2000, 2000)]
print(hashlib.sha256(struct.pack(f"<{len(values)}d", *values)).hexdigest())
"""


@given(st.floats(min_value=5e-324, max_value=1.7e308))
def test_ln_is_within_its_stated_error(x: float) -> None:
    assert abs(ln(x) - math.log(x)) <= max(1e-12, 1e-15 * abs(math.log(x)))


@pytest.mark.parametrize("x", [1, 2, 100, 10**17, 10**30])
def test_ln_takes_integers(x: int) -> None:
    assert ln(x) == pytest.approx(math.log(x), abs=1e-12)


@given(st.floats(min_value=-700, max_value=700))
def test_exp_is_within_its_stated_error(x: float) -> None:
    assert exp(x) == pytest.approx(math.exp(x), rel=1e-13)


def test_exp_is_bounded_on_both_sides() -> None:
    assert (exp(1e9), exp(-1e9)) == (exp(700.0), 0.0)


def test_what_halves_is_halved_exactly_after_each_half_life() -> None:
    left = halvings(24, 24 * 40)
    assert left[0::24] == tuple(0.5**n for n in range(40))
    assert all(later < earlier for earlier, later in itertools.pairwise(left))
    assert left[12] == pytest.approx(math.sqrt(0.5), rel=1e-13)


@pytest.mark.parametrize("switched_off", ["", "-AVX512F,-AVX2", "-AVX512F,-AVX2,-FMA,-SSE4_2"])
def test_the_bits_do_not_depend_on_what_the_processor_can_do(switched_off: str) -> None:
    environment = os.environ | {"GLIBC_TUNABLES": f"glibc.cpu.hwcaps={switched_off}"} if switched_off else None
    done = subprocess.run([sys.executable, "-c", _DIGEST], capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout.strip() == "809e1f845bc2b8f3ea5abd9374d945f79e13c16d3b219d4cdfdaac94a7fae7c0", done.stderr


def test_logarithms_of_close_numbers_are_in_order() -> None:
    values = [ln(100 + n) for n in range(100_000)]
    assert values == sorted(values)
