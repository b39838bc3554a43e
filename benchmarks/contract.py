"""The contract once more, slowly and from its text: what must become of each message of one partition.

Shares no code with the decoder, the admission or the engine, so that fuzzing them has something to be held against.
Source: contract, "Payment instruction" and "Refused to the dead-letter topic".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from math import isfinite
from typing import Any, Protocol

ACCEPTED, DUPLICATE = "accepted", "duplicate"

_MAX_BYTES = 64 * 1024
_MAX_DEPTH = 64
_AHEAD_US = 5 * 60 * 1_000_000
_LATENESS_US = 31 * 86_400 * 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORGET_EVERY = 20_000  # messages

_TEXTS = (
    "voucher_no", "batch_id", "budget_unit_name", "department", "payer_account", "payer_account_name", "payer_bank",
    "payee_name", "payee_account", "payee_bank", "payee_bank_code", "currency", "fund_type", "function_class",
    "economic_class", "department_economic_class", "project", "allotment_ref", "purpose", "card_no", "card_holder",
    "procurement_id", "contract_no", "invoice_no", "initiator", "approver", "cashier", "corrects",
)  # fmt: skip
_ENUMS = {
    "unit_level": "central province city county town",
    "payer_account_kind": "zero_balance basic general special treasury",
    "payee_kind": "organisation person budget_unit fiscal",
    "payment_mode": "direct authorised",
    "settlement": "transfer cash cash_cheque cheque official_card other",
    "business_type": "normal official_card salary batch collection tax correction other",
}
_REQUIRED = ("instruction_id", "event_time", "jurisdiction", "budget_unit", "amount", "payment_mode", "settlement")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?(?:[Zz]|([+-])(\d\d):?(\d\d))", re.ASCII)


class Message(Protocol):
    """A record of the payments topic."""

    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Contract:
    """What must become of the messages of one partition, asked in their order."""

    def __init__(self, partition_of: Callable[[bytes], int], partition: int) -> None:
        self._partition_of = partition_of
        self._partition = partition
        self._newest: dict[str, int] = {}
        self._seen: dict[tuple[str, str], tuple[int, int]] = {}  # event time, hash of the content
        self._asked = 0

    def expects(self, message: Message) -> str:
        """`accepted`, `duplicate` or the reason for which it must be refused."""
        self._asked += 1
        if self._asked % _FORGET_EVERY == 0:
            self._seen = {each: kept for each, kept in self._seen.items() if not self._is_late(each[0], kept[0])}
        try:
            given = instruction_of(message.value)
        except Refused as refused:
            return str(refused)
        jurisdiction = given["jurisdiction"]
        if (
            message.key is None
            or message.key != jurisdiction.encode()
            or self._partition_of(message.key) != self._partition
        ):
            return "wrong_key"
        us = given["event_time"]
        if message.timestamp >= 0 and us > message.timestamp * 1000 + _AHEAD_US:
            return "future_event_time"
        if self._is_late(jurisdiction, us):
            return "too_late"
        name = (jurisdiction, given["instruction_id"])
        content = hash(tuple(sorted(given.items())))
        if name in self._seen and not self._is_late(jurisdiction, self._seen[name][0]):
            return DUPLICATE if self._seen[name][1] == content else "conflicting_duplicate"
        self._seen[name] = us, content
        self._newest[jurisdiction] = max(us, self._newest.get(jurisdiction, us))
        return ACCEPTED

    def _is_late(self, jurisdiction: str, us: int) -> bool:
        return us < self._newest.get(jurisdiction, us) - _LATENESS_US


class Refused(Exception):
    """The reason code of a message that is no instruction."""


def instruction_of(value: bytes | None) -> dict[str, Any]:
    """The fields that are there, in a form in which equal instructions are equal. Raises Refused."""
    if value is not None and len(value) > _MAX_BYTES:
        raise Refused("too_large")
    try:
        given = json.loads((value or b"").decode("utf-8"), parse_int=_number, parse_constant=_refuse)
        if _depth((value or b"").decode("utf-8")) > _MAX_DEPTH:
            raise Refused("malformed_json")
    except (ValueError, RecursionError):
        raise Refused("malformed_json") from None
    if not isinstance(given, dict):
        raise Refused("schema")
    try:
        return _fields({name: each for name, each in given.items() if each is not None})
    except (KeyError, ValueError, OverflowError):
        raise Refused("schema") from None


def _depth(text: str) -> int:
    """How deep arrays and objects are nested in JSON text."""
    deepest = depth = 0
    in_string = escaped = False
    for each in text if text.count("[") + text.count("{") > _MAX_DEPTH else "":
        if in_string:
            in_string = escaped or each != '"'
            escaped = each == "\\" and not escaped
        elif each == '"':
            in_string = True
        elif each in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif each in "]}":
            depth -= 1
    return deepest


def _number(text: str) -> int | float:
    return int(text) if len(text) < 1000 else float(text)


def _refuse(name: str) -> None:
    raise ValueError(name)


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    """Raises KeyError or ValueError where something is missing or not as it should be."""
    fields = {name: given[name] for name in _REQUIRED}
    fields["event_time"] = _moment(given["event_time"])
    for name in ("instruction_id", "jurisdiction", "budget_unit", "amount"):
        _require(_is_text(given[name]) and given[name])
    _require(len(given["instruction_id"]) <= 64)
    _require(re.fullmatch(r"-?[0-9]{1,16}\.[0-9]{2}", given["amount"]))
    for name in _TEXTS:
        if name in given:
            _require(_is_text(given[name]))
            fields[name] = given[name]
    for name, values in _ENUMS.items():
        if name in given:
            _require(isinstance(given[name], str) and given[name] in values.split())
            fields[name] = given[name]
    for name, least, most in (("schema_version", 1, 1), ("fiscal_year", 1, 9999), ("line_no", -(2**63), 2**63 - 1)):
        if name in given:
            _require(type(given[name]) is int and least <= given[name] <= most)
            fields[name] = given[name]
    fields.pop("schema_version", None)
    if "green_channel" in given:
        _require(isinstance(given["green_channel"], bool))
        fields |= {"green_channel": True} if given["green_channel"] else {}
    if "voucher_date" in given:
        _require(isinstance(given["voucher_date"], str))
        _require(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given["voucher_date"]))
        fields["voucher_date"] = date.fromisoformat(given["voucher_date"]).toordinal()
    if "attributes" in given:
        _require(isinstance(given["attributes"], dict))
        fields["attributes"] = tuple(
            sorted((name, _local(name, each)) for name, each in given["attributes"].items() if each is not None)
        )
    return fields


def _require(condition: object) -> None:
    if not condition:
        raise ValueError


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not any("\ud800" <= each <= "\udfff" for each in value)


def _local(name: str, value: object) -> tuple[str, str]:
    """A local field's value with its type, as text: numbers that are equal are the same."""
    _require(_is_text(name))
    if isinstance(value, bool):
        return "boolean", str(value)
    if isinstance(value, str):
        _require(_is_text(value))
        return "text", value
    if not isinstance(value, (int, float)):
        raise ValueError
    _require(-(2**63) <= value < 2**63 if isinstance(value, int) else isfinite(value))
    return "number", str(Fraction(repr(value)))


def _moment(text: object) -> int:
    """Microseconds since 1970 of an RFC 3339 text."""
    _require(isinstance(text, str))
    assert isinstance(text, str)
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError
    day, clock, fraction, sign, hours, minutes = found.groups()
    _require(int(hours or 0) < 24 and int(minutes or 0) < 60)
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=timezone(offset))
    digits = (fraction or ".")[1:].ljust(7, "0")
    moment += timedelta(microseconds=int(digits[:6]) + (digits[6] >= "5"))
    _require(1900 <= moment.year <= 9998)
    return (moment - _EPOCH) // timedelta(microseconds=1)
