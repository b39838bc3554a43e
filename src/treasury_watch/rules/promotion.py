"""Promotion (转正): a rule from draft to shadow, and from shadow to live with what a back-test measured of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from treasury_watch.rules.canonical import logic_hash
from treasury_watch.rules.diagnostics import lines_of
from treasury_watch.rules.edits import Edit, edited, with_lines, without_lines
from treasury_watch.rules.fixes import rule_node
from treasury_watch.rules.schema import Rule
from treasury_watch.rules.source import MappingNode

Target = Literal["shadow", "live"]
BACKTEST_VERSION = 1  # of docs/backtesting.md
_BEFORE: Mapping[str, str] = {"shadow": "draft", "live": "shadow"}
_HASH = re.compile("sha256:[0-9a-f]{64}")


class NotPromoted(Exception):
    """Why a rule stays what it is: one line for the user."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a back-test says of one rule: `held` are the payments that no other live rule holds, and their amount."""

    ruleset: str  # the hash of the set that was tested
    file: str  # "sha256:…" of the payments
    first_day: date
    last_day: date
    payments: int
    hits: int
    held: int
    held_amount: Decimal

    @property
    def share(self) -> str:
        """Hits per payment in percent, to four places."""
        return f"{Decimal(self.hits) / self.payments:.4%}"


def measured(text: str, rule: Rule) -> Measured:
    """What the result of `rules backtest --json` says of a rule, if it is about this rule as it stands.

    Raises NotPromoted if it is not, if it judged no payment with it, or if the rule broke its own expectation.
    """
    try:
        result = json.loads(text)
        if result["schema_version"] != BACKTEST_VERSION:
            raise NotPromoted(f"the back-test has schema version {result['schema_version']}, not {BACKTEST_VERSION}")
        own = next((each for each in result["rules"] if each["id"] == rule.id), None)
        if own is None:
            raise NotPromoted(f"the back-test has no rule `{rule.id}`")
        if own["logic"] != logic_hash(rule):
            told = f"revision {own['revision']}" if own["revision"] != rule.revision else "other logic"
            raise NotPromoted(f"the back-test judged with {told} of `{rule.id}`: run it again")
        if not own["payments"]:
            raise NotPromoted(f"the back-test has no payment on a day on which `{rule.id}` was in effect")
        if rule.id in result["broken"]:
            raise NotPromoted(f"`{rule.id}` hit {own['share']:.2%} of the payments, more than its file expects")
        return _measured(result, own)
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
        raise NotPromoted("this is no result of `rules backtest --json`") from error


def _measured(result: Mapping[str, Any], own: Mapping[str, Any]) -> Measured:
    file = result["file"]
    if not _HASH.fullmatch(file["sha256"]):
        raise ValueError("not a hash")
    return Measured(
        str(result["ruleset"]["hash"]),
        file["sha256"],
        date.fromisoformat(file["first_day"]),
        date.fromisoformat(file["last_day"]),
        int(own["payments"]),
        int(own["hits"]),
        int(own["held_alone"]["payments"]),
        Decimal(own["held_alone"]["amount"]).quantize(Decimal("0.01")),
    )


def check_target(rule: Rule, to: Target) -> None:
    """Raises NotPromoted unless the rule stands just below `to`."""
    if rule.mode != _BEFORE[to]:
        hint = f"; first: rules promote {rule.id} --to shadow" if (rule.mode, to) == ("draft", "live") else ""
        article = "a draft" if rule.mode == "draft" else "in shadow" if rule.mode == "shadow" else rule.mode
        raise NotPromoted(f"`{rule.id}` is {article}, and only a {_BEFORE[to]} rule becomes {to}{hint}")


def promoted(files: Mapping[str, bytes], rule: Rule, to: Target, record: Mapping[str, object]) -> dict[str, bytes]:
    """The files with the rule's mode changed and, if `record` is not empty, what it says under `promoted:`."""
    if record:
        files = _without_record(files, rule)
    node = _node(files, rule)
    path = node.span.file
    mode = node.get("mode")
    anchor = mode if mode is not None else node.get("revision")
    assert anchor is not None
    data = files[path] if mode is None else edited(files[path], [Edit(mode.span, to)])
    told = [f"mode: {to}"] if mode is None else []
    if _in_flow(node, files):
        told += [f"promoted: {{{', '.join(f'{key}: {value}' for key, value in record.items())}}}"] if record else []
        length = len(to) if anchor is mode else anchor.span.length
        place = replace(anchor.span, column=anchor.span.column + length, length=0)
        return {**files, path: edited(data, [Edit(place, "".join(f", {each}" for each in told))])}
    if record:
        told += ["promoted:", *(f"  {key}: {value}" for key, value in record.items())]
    indent = " " * (node.entries[0][0].span.column - 1)
    return {**files, path: with_lines(data, anchor.span.line, [indent + each for each in told])}


def _without_record(files: Mapping[str, bytes], rule: Rule) -> Mapping[str, bytes]:
    """Takes the record of an earlier promotion out: its key's line, and the lines below that stand further in."""
    node = _node(files, rule)
    key = next((key for key, _ in node.entries if key.text == "promoted"), None)
    if key is None:
        return files
    path, last = key.span.file, key.span.line
    if _in_flow(node, files):
        raise NotPromoted(f"{path}:{key.span.line}: take the `promoted` record of last time out first")
    lines = lines_of(files[path])
    while last < len(lines) and lines[last].startswith(" " * key.span.column):
        last += 1
    return {**files, path: without_lines(files[path], key.span.line, last)}


def _node(files: Mapping[str, bytes], rule: Rule) -> MappingNode:
    node = rule_node(files, rule)
    assert node is not None
    return node


def _in_flow(node: MappingNode, files: Mapping[str, bytes]) -> bool:
    return lines_of(files[node.span.file])[node.span.line - 1][node.span.column - 1] == "{"


def record_of(rule: Rule, found: Measured, on: date) -> dict[str, object]:
    """What is written under `promoted:`."""
    return {
        "on": on,
        "revision": rule.revision,
        "payments": found.payments,
        "hits": found.hits,
        "share": found.share,
        "held": found.held,
        "held_amount": found.held_amount,
        "first_day": found.first_day,
        "last_day": found.last_day,
        "file": f'"{found.file}"',
    }
