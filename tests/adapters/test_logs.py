"""Logs: one line each, account and card numbers masked."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from treasury_watch.adapters.logs import Calm, ConsoleFormatter, JsonFormatter, mask_numbers


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("treasury_watch.test", logging.INFO, __file__, 1, message, args, info)
    made.created = 1_741_147_200.5
    return made


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("12345678901", "12345678901"),
        ("123456789012", "********9012"),
        ("卡6222021234567890123号", "卡***************0123号"),
        ("offset 1741147200 of 20250305", "offset 1741147200 of 20250305"),
        ("sha256:" + "0123456789" * 6 + "abcd", "sha256:" + "0123456789" * 6 + "abcd"),
        ("", ""),
    ],
)
def test_runs_of_twelve_digits_are_masked_to_the_last_four(text: str, shown: str) -> None:
    assert mask_numbers(text) == shown


def test_a_console_line_says_when_how_bad_who_and_what() -> None:
    line = ConsoleFormatter().format(record("付款账号 %s", "6222021234567890123"))
    assert line == "2025-03-05T04:00:00.500Z INFO treasury_watch.test: 付款账号 ***************0123"


def test_a_json_line_is_one_object_with_chinese_as_it_is() -> None:
    line = JsonFormatter().format(record("付款\n账号 %s", "6222021234567890123"))
    assert "\n" not in line
    assert "付款" in line
    assert json.loads(line) == {
        "time": "2025-03-05T04:00:00.500Z",
        "level": "INFO",
        "logger": "treasury_watch.test",
        "message": "付款\n账号 ***************0123",
    }


@pytest.mark.parametrize("formatter", [ConsoleFormatter(), JsonFormatter()])
def test_numbers_in_stack_traces_are_masked(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("6222021234567890123")
    except ValueError:
        error = sys.exc_info()[1]
    text = formatter.format(record("failed", error=error))
    assert "6222021234567890123" not in text
    assert "ValueError: ***************0123" in text


def test_a_library_repeats_itself_once_in_ten_seconds_and_we_as_often_as_we_like() -> None:
    calm = Calm()

    def passes(name: str, message: str, second: float) -> bool:
        made = logging.LogRecord(name, logging.ERROR, __file__, 1, message, ("x",), None)
        made.created = 1_741_147_200.0 + second
        return calm.filter(made)

    assert [passes("aiokafka", "cannot connect to %s", second) for second in (0, 0.1, 9.9, 10, 10.1)] == [
        *(True, False, False, True, False)
    ]
    assert passes("aiokafka", "something else: %s", 0.2)
    assert [passes("treasury_watch.x", "cannot connect to %s", second) for second in (0, 0.1)] == [True, True]
    faust_says = "treasury_watch.adapters.kafka.driver"  # in the name of our subclass
    assert [passes(faust_says, "has not committed %s", second) for second in (0, 0.1)] == [True, False]
