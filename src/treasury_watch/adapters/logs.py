"""Logs on stderr, one line of text or JSON each, with account and card numbers masked and without secrets."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Literal

from treasury_watch.domain.payment import masked

_HASH_OR_LONG_NUMBER = re.compile(r"sha256:[0-9a-f]{64}|\d{12,}")
_CALM_SECONDS = 10.0
# Faust names the life cycle of its services after the module of their class, so two of ours are noisy, too.
_NOISY = (
    *("aiokafka", "faust", "mode", "aiohttp", "asyncio"),
    *("treasury_watch.adapters.kafka.app", "treasury_watch.adapters.kafka.driver"),
)


def mask_numbers(text: str) -> str:
    """The text with every run of 12 or more digits, as account and card numbers are, masked to its last four."""
    return _HASH_OR_LONG_NUMBER.sub(lambda found: masked(found[0]) if found[0].isdigit() else found[0], text)


class ConsoleFormatter(logging.Formatter):
    """`2025-03-05T02:15:00.123Z INFO name: message`; a stack trace follows where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return _time(record)

    def format(self, record: logging.LogRecord) -> str:
        return mask_numbers(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": mask_numbers(record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = mask_numbers(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


class Calm(logging.Filter):
    """Lets a library say the same once in ten seconds: cut off from its broker, it says so ten times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("treasury_watch") and record.name not in _NOISY:
            return True
        message = (record.name, str(record.msg))
        if record.created - self._last.get(message, 0.0) < _CALM_SECONDS:
            return False
        self._last[message] = record.created
        return True


def configure_logs(form: Literal["console", "json"]) -> None:
    """Sends all logs of the process to stderr in that form: ours from INFO on, those of libraries from WARNING."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else ConsoleFormatter())
    handler.addFilter(Calm())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def mute_libraries() -> None:
    """Lets the last word be ours: for when the process stops and all that is left to come is libraries falling over."""
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
