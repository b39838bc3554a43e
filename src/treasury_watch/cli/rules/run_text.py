"""What `rules test` shows of a run: what failed and why, what no test turned, and what it came to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from rich.text import Text as Line

from treasury_watch.cli.rules.tree import Language, detail_lines, outcome_line, word
from treasury_watch.domain.verdict import Text
from treasury_watch.engine.exercise import Gap
from treasury_watch.engine.ruletest import Difference, TestFailure, TestRun

_STEP = Text(zh="第{}步", en="step {}")
_EXPECTED = Text(zh="预期", en="expected")
_FOUND = Text(zh="实际", en="found   ")
_NEVER = {"true": Text(zh="从未为真", en="never true"), "false": Text(zh="从未为假", en="never false")}
_AND = Text(zh="、", en=" and ")
_GAP = Text(zh="`{}` {}", en="`{}` is {}")
_GAPS = Text(zh="{1}中有{0}个在测试中从未为真或从未为假", en="{} of {} never true or never false in tests")
_SEE = Text(zh="；--coverage 逐项列出", en="; --coverage lists them")
_CONDITIONS = Text(zh="{}个条件", en="{} condition")
_TESTS = Text(zh="{}个测试", en="{} test")
_FILES = Text(zh="{}个文件", en="{} file")
_IN = Text(zh="{1}共{0}：{2}", en="{} in {}: {}")
_FAILED = Text(zh="{}个未通过", en="{} failed")
_PASSED = Text(zh="全部通过", en="all passed")


def run_lines(result: TestRun, language: Language, *, by_test: bool, coverage: bool) -> Iterator[Line]:
    """The failures and the sum; `by_test`: each test by its name too, `coverage`: each condition left open."""
    for test in result.tests if by_test else ():
        yield Line(f"{'✗' if test.failed else '✓'} {test.name}")
    for failure in result.failures:
        yield from _failure_lines(failure, language)
    gaps = result.exercise.gaps
    for gap in gaps if coverage else ():
        yield Line(_gap(gap, language))
    if gaps:
        conditions = _count(_CONDITIONS, result.exercise.conditions, language)
        yield Line(word(_GAPS, language, len(gaps), conditions) + ("" if coverage else word(_SEE, language)))
    failed = sum(test.failed for test in result.tests)
    came_to = word(_FAILED, language, failed) if failed else word(_PASSED, language)
    tests, files = _count(_TESTS, len(result.tests), language), _count(_FILES, result.files, language)
    yield Line(word(_IN, language, tests, files, came_to))


def _failure_lines(failure: TestFailure, language: Language) -> Iterator[Line]:
    place = f"{failure.file}:{failure.line}:{failure.column}"
    told = "" if failure.differences else f": {failure.message}"
    yield Line.assemble((f"{place}: {failure.test}", "bold"), f": {word(_STEP, language, failure.step)}{told}")
    for difference in failure.differences:
        yield from (Line("  ").append_text(line) for line in _difference_lines(difference, language))
    for explanation in failure.explanations:
        outcome = outcome_line(explanation, language)
        yield Line.assemble("  ", (f"{explanation.rule.id} ", "bold")).append_text(outcome)
        yield from (Line("    ").append_text(line) for line in detail_lines(explanation, language))


def _difference_lines(difference: Difference, language: Language) -> Iterator[Line]:
    """Expected and found on two lines, with what is different in the middle set off."""
    expected, found = difference.expected, difference.found
    head = _alike(expected, found)
    tail = _alike(expected[head:][::-1], found[head:][::-1])
    for mark, label, text, style in (("-", _EXPECTED, expected, "red"), ("+", _FOUND, found, "green")):
        end = len(text) - tail
        yield Line.assemble(
            (f"{mark} {word(label, language)} {text[:head]}", style),
            (text[head:end], f"{style} bold underline"),
            (text[end:], style),
        )


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _gap(gap: Gap, language: Language) -> str:
    never = word(_AND, language).join(word(_NEVER[each], language) for each in gap.never)
    return f"{gap.file}:{gap.line}:{gap.column}: {gap.rule}: {word(_GAP, language, gap.condition, never)}"


def _count(noun: Text, number: int, language: Language) -> str:
    text = word(noun, language, number)
    return text if language == "zh" or number == 1 else f"{text}s"
