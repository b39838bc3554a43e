"""The outputs of a trial against those of the undisturbed run: what is not as it must be, in lines."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from treasury_watch.adapters.wire import stamp

from .durable import UNKNOWN, Written
from .topics import OUTPUTS, Sample
from .undisturbed import Expected, Run

NEVER = 2**63
LONGEST = 600  # characters of a difference that are shown
_MOMENT = re.compile(rb',"decided_at":"([0-9T:.+Z-]{20,35})"\}$')


def compare(run: Run, published: dict[str, list[Any]], partition: int) -> list[str]:
    """What is wrong with the outputs of one partition, by topic of the contract; empty if nothing is.

    Every output must be there once, in the order of its source, with its key, headers and content; only the times at
    which things were decided or refused are free.
    """
    findings: list[str] = []
    for name in OUTPUTS:
        where = f"{name}[{partition}]"
        findings += _sequence(where, run.outputs[name], published[name])
        findings += _contents(where, run.outputs[name], published[name])
    return findings


def dead_letters_of(letters: Iterable[Any], topic: str) -> list[Any]:
    """The dead letters of messages of a topic; those that name none are with the payments."""
    return [each for each in letters if dict(each.headers).get("source_topic", b"payments").decode().endswith(topic)]


def refusals(run: Run, letters: Sequence[Any], partition: int) -> list[str]:
    """What is wrong with the dead letters of dispositions."""
    found = [_source(each) for each in letters]
    if found == run.refused:
        return []
    return [
        f"dead-letters[{partition}]: of dispositions {_some(found)}, "
        f"expected those of {_some(run.refused)}, each once and in order"
    ]


def committed_early(run: Run, published: dict[str, list[Any]], samples: Iterable[Sample], partition: int) -> list[str]:
    """Commits of payments whose outputs were not on the topics yet."""
    own = [sample for sample in samples if sample.partition == partition]
    early: list[str] = []
    for name in OUTPUTS:
        there = {_source(each): each.offset for each in reversed(published[name])}
        sources = [each.source for each in run.outputs[name]]
        # Up to each source, the offset at which the last of its outputs stands; never, for one that is missing.
        until = list(accumulate((there.get(source, NEVER) for source in sources), max))
        for sample in own:
            count = bisect_left(sources, sample.committed)
            if count and until[count - 1] >= sample.ends[name]:
                late = [source for source in sources[:count] if there.get(source, NEVER) >= sample.ends[name]]
                early.append(f"offset {sample.committed} without the outputs on {name} of {_some(late)}")
    return [f"payments[{partition}]: committed {_some(early)}"] if early else []


def committed_before_written(written: Sequence[Written], samples: Iterable[Sample], partition: int) -> list[str]:
    """Commits of payments that the state on the topic did not contain yet."""
    offsets = [each.offset for each in written]
    early = []
    for sample in samples:
        if sample.partition == partition:
            count = bisect_left(offsets, sample.ends["state"])
            there = written[count - 1].position if count else 0
            if there < sample.committed and there != UNKNOWN:
                early.append(f"offset {sample.committed} when the state was that of {there}")
    return [f"payments[{partition}]: committed {_some(early)}"] if early else []


def _sequence(where: str, expected: Sequence[Expected], published: Sequence[Any]) -> list[str]:
    wanted = {each.source for each in expected}
    seen: set[int] = set()
    repeated, unexpected, disordered = [], [], []
    newest = -1
    for record in published:
        source = _source(record)
        if source in seen:
            repeated.append(source)
            continue
        seen.add(source)
        if source not in wanted:
            unexpected.append(source)
        if source < newest:
            disordered.append(source)
        newest = max(newest, source)
    missing = sorted(wanted - seen)
    told = {"missing": missing, "published again": repeated, "nobody expects": unexpected, "out of order": disordered}
    return [f"{where}: {what}: those of payments {_some(sources)}" for what, sources in told.items() if sources]


def _contents(where: str, expected: Sequence[Expected], published: Sequence[Any]) -> list[str]:
    wanted = {each.source: each for each in expected}
    other: dict[str, list[int]] = {"key": [], "content": [], "headers": []}
    shown = ""
    for record in published:
        source = _source(record)
        if source not in wanted:
            continue
        each = wanted[source]
        if record.key != each.key:
            other["key"].append(source)
        if not _same_value(record, each):
            other["content"].append(source)
            shown = shown or f"; the first: {_difference(record.value, each.value)}"
        if not _same_headers(record, each):
            other["headers"].append(source)
    return [
        f"{where}: other {what}: those of payments {_some(sources)}{shown if what == 'content' else ''}"
        for what, sources in other.items()
        if sources
    ]


def _difference(found: bytes | None, expected: bytes | None) -> str:
    """Where two values differ, if they are JSON objects: the fields, with what was found and expected."""
    try:
        one, other = _flat(json.loads(found or b"")), _flat(json.loads(expected or b""))
    except ValueError:
        return f"found {found!r}, expected {expected!r}"[:LONGEST]
    names = [name for name in {**other, **one} if name != "decided_at" and one.get(name) != other.get(name)]
    return "; ".join(f"{name}: found {one.get(name)!r}, expected {other.get(name)!r}" for name in names)[:LONGEST]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Every plain value in a JSON value, by its path."""
    if not isinstance(value, dict | list):
        return {path: value}
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    return {
        name: each for key, part in parts for name, each in _flat(part, f"{path}.{key}" if path else str(key)).items()
    }


def _same_value(record: Any, expected: Expected) -> bool:
    if "reason" in expected.headers:  # a refused message is kept as it was
        return bool(record.value == expected.value)
    found = _MOMENT.search(record.value or b"")
    return bool(found and expected.value and record.value == stamp(expected.value, found[1].decode()))


def _same_headers(record: Any, expected: Expected) -> bool:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    refused = "reason" in expected.headers
    return (
        len(headers) == len(record.headers)
        and (headers.pop("failed_at", "") != "") is refused
        and headers == expected.headers
    )


def _source(record: Any) -> int:
    """The offset of the payment that a record followed from; -1 where it does not say."""
    return next((int(value) for name, value in record.headers if name == "source_offset" and value.isdigit()), -1)


def _some(things: Sequence[object]) -> str:
    """The first few, and how many there are."""
    shown = ", ".join(str(each) for each in things[:3])
    return shown if len(things) <= 3 else f"{shown} … ({len(things)} in all)"
