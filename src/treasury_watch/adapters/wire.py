"""Bytes to instructions or refusals, decisions to bytes. Nothing here raises, whatever the bytes are.

An instruction is decoded in up to three steps, each exact and slower than the one before:

1. msgspec straight into the struct: every ordinary message;
2. by way of a dict, without nulls and unknown fields: the ordinary messages of other systems;
3. the reference: JSON read strictly, then the pydantic model of `messages`. It alone refuses, and says why; but for
   texts whose normal form would be too long, or take too long, which are refused whichever step read them.

So a step may pass on what it could have accepted, but may never accept what the reference refuses or read another value
from it; `tests/properties/test_wire_agreement.py` holds them to that. Where a key comes twice the last one counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple, NoReturn

import msgspec
from pydantic import ValidationError

from treasury_watch.adapters.messages import PaymentInstruction, is_attribute, is_unicode
from treasury_watch.domain.payment import (
    AMOUNT,
    FIELDS,
    FIRST_YEAR,
    LAST_YEAR,
    MOST_MARKS,
    Instruction,
    Kind,
    account_form,
    masked,
    name_form,
    piles_up,
)
from treasury_watch.domain.verdict import Anomaly, Decision, Refusal

MAX_BYTES = 65_536
ORDINARY_BYTES = 2_048  # no text of such a message can be long in normal form, or take long to be brought into it
MAX_DEPTH = 64  # of nested arrays and objects, unknown fields included: the same for every caller's stack
MOST_COMPLAINTS = 10  # in the detail of a refusal, which a header has to hold
UNKNOWN_NAMES = 100  # names counted one by one per batch; further ones together under OTHER_NAMES
OTHER_NAMES = "(other)"

KNOWN = frozenset(FIELDS) | {"attributes"}

_FORMS = {Kind.ACCOUNT: account_form, Kind.NAME: name_form}
_FORMED = tuple((each.name, _FORMS[each.kind]) for each in FIELDS.values() if each.kind in _FORMS)
_decode = msgspec.json.Decoder(Instruction).decode
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_amount = AMOUNT.fullmatch


class Decoded(NamedTuple):
    """A batch, decoded: one instruction or refusal per message in order, and how often each unknown field came."""

    outcomes: list[Instruction | Refusal]
    unknown: dict[str, int]


def decode(value: bytes | None) -> Instruction | Refusal:
    """The instruction of one message, or why it is refused: `malformed_json`, `schema` or `too_large`."""
    return _decoded(value, {})


def decode_batch(values: Sequence[bytes | None]) -> Decoded:
    """Decodes a whole batch; `unknown` counts ignored fields by name, at most UNKNOWN_NAMES of them."""
    unknown: dict[str, int] = {}
    return Decoded([_decoded(value, unknown) for value in values], unknown)


def _decoded(value: bytes | None, unknown: dict[str, int]) -> Instruction | Refusal:
    if value is None or len(value) > MAX_BYTES:
        return reference(value, unknown)
    found = straight(value) or simplified(value, unknown) or reference(value, unknown)
    if len(value) > ORDINARY_BYTES and isinstance(found, Instruction):
        return _too_costly(found) or found
    return found


def _too_costly(instruction: Instruction) -> Refusal | None:
    """Why the normal form of an instruction's texts would be too long, or take too long; `None` if it would not."""
    for name, _ in _FORMED:
        if piles_up(getattr(instruction, name) or ""):
            return Refusal("schema", f"{name}: expected at most {MOST_MARKS} combining marks in a row")
    if _formed_bytes(instruction) > MAX_BYTES:
        return Refusal("too_large", f"more than {MAX_BYTES} bytes in the form in which accounts and names are compared")
    return None


def _formed_bytes(instruction: Instruction) -> int:
    """How long the accounts and names of an instruction are in the form in which they are compared and remembered."""
    given = ((getattr(instruction, name), form) for name, form in _FORMED)
    return sum(len(form(text).encode()) for text, form in given if text is not None)


def straight(value: bytes) -> Instruction | None:
    """Step 1: an ordinary message."""
    try:
        instruction = _decode(value)
    except (ValueError, RecursionError):
        return None
    return instruction if _in_range(instruction) else None


def simplified(value: bytes, unknown: dict[str, int]) -> Instruction | None:
    """Step 2: an ordinary message but for nulls and for fields that the contract does not know."""
    if value.count(b"{") + value.count(b"[") > MAX_DEPTH:
        return None
    try:
        given = _decode_any(value)
        if not isinstance(given, dict):
            return None
        known = {name: each for name, each in given.items() if name in KNOWN and each is not None}
        instruction = msgspec.convert(known, Instruction)
    except ValueError:
        return None
    if not _in_range(instruction):
        return None
    _count(given.keys() - KNOWN, unknown)
    return instruction


def _in_range(instruction: Instruction) -> bool:
    """What the types of the struct do not say: the form of the amount, the years of the event time."""
    return bool(_amount(instruction.amount)) and FIRST_YEAR <= instruction.event_time.year <= LAST_YEAR


def reference(value: bytes | None, unknown: dict[str, int] | None = None) -> Instruction | Refusal:
    """What the contract makes of a message: slow, exact, and the only place that refuses.

    The detail of a refusal names the fields and what was expected; it shows no account or card number and no long text.
    """
    if value is None:
        return Refusal("malformed_json", "the message is empty")
    if len(value) > MAX_BYTES:
        return Refusal("too_large", f"more than {MAX_BYTES} bytes")
    try:
        given = _parsed(value)
    except ValueError as error:
        return Refusal("malformed_json", str(error))
    if not isinstance(given, dict):
        return Refusal("schema", f"expected a JSON object, found {_kind_of(given)}")
    if unknown is not None:
        _count(given.keys() - KNOWN, unknown)
    present = {name: each for name, each in given.items() if name in KNOWN and each is not None}
    try:
        model = PaymentInstruction.model_validate(present)
    except ValidationError as error:
        wrong = dict.fromkeys(str(each["loc"][0]) for each in error.errors(include_url=False, include_context=False))
        complaints = [each for name in wrong for each in _complaints(name, given)]
        more = [f"{len(complaints) - MOST_COMPLAINTS:,} more"] if len(complaints) > MOST_COMPLAINTS else []
        return Refusal("schema", "; ".join(complaints[:MOST_COMPLAINTS] + more))
    return Instruction(**model.__dict__)


# --- strict JSON ---


def _parsed(value: bytes) -> Any:
    """The JSON value of a message. Raises ValueError with one line that says what is wrong and where."""
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    if not text.strip(" \t\r\n"):
        raise ValueError("the message is empty")
    if text.startswith("\ufeff"):
        raise ValueError("starts with a byte order mark, which JSON does not allow")
    if _deeper_than(MAX_DEPTH, text):
        raise ValueError(f"arrays and objects nested deeper than {MAX_DEPTH}")
    try:
        return json.loads(text, parse_int=_integer, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise ValueError(f"{error.msg} at {where}") from error


_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def _deeper_than(limit: int, text: str) -> bool:
    if text.count("{") + text.count("[") <= limit:
        return False
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(found.group(), 0)
        if depth > limit:
            return True
    return False


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= 40 else float(text)  # no field takes so many digits: its value is all the same


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# --- refusals and counts ---

_EXPECTED = {
    Kind.TEXT: "text",
    Kind.NAME: "text",
    Kind.ACCOUNT: "text",
    Kind.MONEY: 'decimal text with two places and at most 16 digits before the point, such as "1234.50"',
    Kind.INTEGER: "a whole number of 64 bits",
    Kind.BOOLEAN: "true or false",
    Kind.DATE: 'a date such as "2025-03-05"',
    Kind.TIME: f'an RFC 3339 time with offset, years {FIRST_YEAR} to {LAST_YEAR}, such as "2025-03-05T10:15:00+08:00"',
}
_EXPECTED_OF = {
    "schema_version": "1",
    "fiscal_year": "a whole number from 1 to 9999",
    "instruction_id": "text of 1 to 64 characters",
    "jurisdiction": "text that is not empty",
    "budget_unit": "text that is not empty",
    "attributes": "an object of local fields",
}
_SHOWABLE = (Kind.ENUM, Kind.MONEY, Kind.DATE, Kind.TIME)
_LONG_NUMBER = re.compile(r"\d(?:[ -]?\d){10,}")


def _complaints(name: str, given: dict[str, Any]) -> list[str]:
    field = FIELDS.get(name)
    if field and field.kind is Kind.ENUM:
        expected = "one of " + ", ".join(field.values)
    else:
        expected = _EXPECTED_OF.get(name) or _EXPECTED[FIELDS[name].kind]
    if name not in given:
        return [f"{name}: missing, expected {expected}"]
    value = given[name]
    if name == "attributes" and isinstance(value, dict):
        return [
            f"attributes.{_shown(key[:40])}: expected text, a finite number (64 bits if whole), true or false, "
            f"found {_kind_of(each) if is_unicode(key) else 'a name that is not valid Unicode'}"
            for key, each in value.items()
            if each is not None and not (is_unicode(key) and is_attribute(each))
        ]
    if isinstance(value, str) and field and field.kind in _SHOWABLE and len(value) <= 40:
        return [f"{name}: expected {expected}, found {_shown(value)}"]
    return [f"{name}: expected {expected}, found {_kind_of(value)}"]


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        if not is_unicode(value):
            return "text that is not valid Unicode (half of a surrogate pair)"
        return f"text of {len(value)} characters" if value else "empty text"
    return "an array" if isinstance(value, list) else "an object"


def _shown(text: str) -> str:
    """A short value in quotes, on one line, encodable, with anything that may be an account number masked."""
    return json.dumps(
        _LONG_NUMBER.sub(lambda number: masked(number.group()), text), ensure_ascii=not text.isprintable()
    )


def _count(names: set[str], unknown: dict[str, int]) -> None:
    for name in names:
        shown = name[:64].encode(errors="replace").decode()
        if shown not in unknown and len(unknown) >= UNKNOWN_NAMES:
            shown = OTHER_NAMES
        unknown[shown] = unknown.get(shown, 0) + 1


# --- decisions ---


class Published(Decision, frozen=True, kw_only=True):
    """A decision as its readers find it: `decided_at` is absent in a replay, `instruction` in all but cases."""

    event_time: Annotated[datetime, msgspec.Meta(tz=True)]
    anomaly: Anomaly | msgspec.UnsetType = msgspec.UNSET
    decided_at: str | None = None
    instruction: Instruction | None = None


_decode_published = msgspec.json.Decoder(Published).decode


def encode_instruction(instruction: Instruction) -> bytes:
    """The instruction as one JSON message, missing fields left out."""
    return _encode(instruction)


def instruction_id_of(value: bytes | None) -> str | None:
    """The instruction that a message or a decision, however wrong, is about; None where that cannot be read."""
    try:
        given = msgspec.json.decode(value or b"")
    except (ValueError, RecursionError):
        return None
    found = given.get("instruction_id") if isinstance(given, dict) else None
    return found if isinstance(found, str) else None


def encode_decision(decision: Decision) -> bytes:
    """The decision as JSON without `decided_at`: the same bytes wherever the same instruction is judged."""
    return _encode(decision)


def encode_case(decision: Decision, instruction: Instruction) -> bytes:
    """The decision as JSON with the instruction itself, without `decided_at`."""
    return _encode(decision)[:-1] + b',"instruction":' + _encode(instruction) + b"}"


def stamp(encoded: bytes, decided_at: str) -> bytes:
    """An encoded decision or case with the field `decided_at` (RFC 3339) appended."""
    return encoded[:-1] + b',"decided_at":"' + decided_at.encode() + b'"}'


def decode_decision(value: bytes) -> Published:
    """The decision or case of one message. Raises ValueError with one line where it is neither."""
    return _decode_published(value)
