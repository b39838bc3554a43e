"""Messages that no payment system should send, and some that it does: seeded, by kind, each known by its number.

`message(seed, number)` is always the same. Most kinds start from the good message of their number and do one thing to
it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from benchmarks.contract import ACCEPTED
from benchmarks.drafts import ANY, BEGIN, TICK, Draft, Message, good, json_of

MOST_BYTES = 10 << 20
ELSEWHERE = "429999"  # a jurisdiction whose messages belong to another partition
_ODD_JURISDICTIONS = ["省", "x" * 9_000, "\u0000", "😀", "\u202e421000", " ", "null", "a\nb", "42\ufeff0100", '"']
_AGO = 300  # numbers that a message which comes again lies back, at most

Kind = Callable[[random.Random, Draft], Message]


def message(seed: int, number: int) -> Message:
    """The message of that number."""
    rng = random.Random(f"{seed}:{number}")
    name = rng.choices(_NAMES, _WEIGHTS)[0]
    return replace(KINDS[name][1](rng, good(seed, number)), kind=name)


def _with(draft: Draft, value: bytes | None, *may: str) -> Message:
    return replace(draft.record, value=value, may=frozenset(may) or ANY)


def _is_good(rng: random.Random, draft: Draft) -> Message:
    return draft.record


# --- bytes ---


def _random_bytes(rng: random.Random, draft: Draft) -> Message:
    return _with(draft, rng.randbytes(rng.choice((0, 1, 2, 10, 100, 2_000))), "malformed_json", "schema")


def _truncated(rng: random.Random, draft: Draft) -> Message:
    value = draft.record.value or b""
    return _with(draft, value[: rng.randrange(len(value))], "malformed_json")


def _changed(rng: random.Random, draft: Draft) -> Message:
    value = bytearray(draft.record.value or b"")
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(value) + 1)
        value[at : at + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 2))
    return _with(draft, bytes(value))


def _encoding(rng: random.Random, draft: Draft) -> Message:
    text = json_of({**draft.fields, "purpose": "办公用品采购"}).decode()
    encodings = ("gb18030", "big5", "utf-16", "utf-16-be", "utf-32-le", "utf-8-sig")
    values = [text.encode(each, "replace") for each in encodings]
    values += [text.encode().replace("办".encode(), b"\xe5\x8a"), text.encode().replace(b"T", b"\xc1\x94")]
    value = rng.choice(values)
    return _with(draft, value, "malformed_json")


def _surrogates(rng: random.Random, draft: Draft) -> Message:
    name = rng.choice(["purpose", "instruction_id", "payee_name", "jurisdiction", "unknown"])
    if rng.random() < 0.3:
        return _with(draft, draft.raw(name, '"\ud83d"'), "malformed_json")  # as bytes, which is not UTF-8
    if rng.random() < 0.3:
        return _with(draft, draft.raw("purpose", '"\\ud83d\\ude00"'), ACCEPTED)  # a pair is a character
    half = rng.choice(["\\ud800", "\\udfff", "\\ude00\\ud83d", "x\\uD83D"])
    return _with(draft, draft.raw(name, f'"{half}"'), ACCEPTED if name == "unknown" else "schema")


def _nul(rng: random.Random, draft: Draft) -> Message:
    if rng.random() < 0.5:
        return _with(draft, draft.raw("purpose", '"a\0b"'), "malformed_json")
    name = rng.choice(["purpose", "payee_name", "payee_account", "instruction_id", "budget_unit", "card_no"])
    return _with(draft, draft.raw(name, f'"\\u0000{rng.randrange(10**9)}\\u001f"'), ACCEPTED)


def _empty(rng: random.Random, draft: Draft) -> Message:
    value = rng.choice([None, b"", b" ", b"\r\n\t ", b"\0", b"\xef\xbb\xbf", b"\xef\xbb\xbf{}"])
    return _with(draft, value, "malformed_json")


def _no_object(rng: random.Random, draft: Draft) -> Message:
    return _with(draft, rng.choice([b"null", b"[]", b"0", b'"x"', b"true", b"[{}]", b"1e400", b"{}"]), "schema")


# --- sizes ---


def _large(rng: random.Random, draft: Draft) -> Message:
    size = rng.choice((65_537, 70_000, 300_000, 900_000))
    padding = size - len(draft.json(purpose=""))
    return _with(draft, draft.json(purpose="x" * padding), "too_large")


def _ten_megabytes(rng: random.Random, draft: Draft) -> Message:
    return _with(draft, rng.choice(_huge()), "too_large")


@cache
def _huge() -> list[bytes]:
    return [each * (MOST_BYTES // len(each)) for each in (b" ", b"[", b'{"a":', b"9", "用".encode(), b"\0")]


def _just_fits(rng: random.Random, draft: Draft) -> Message:
    """64 KiB to the byte: in one field, which rules may show."""
    name = rng.choice(["purpose", "payee_name", "payee_account", "budget_unit", "project", "currency", "unknown"])
    room = 65_536 - len(draft.json(**{name: ""}))
    letter = rng.choice(["x", "用", "礼", "😀"])
    text = letter * (room // len(letter.encode())) + "x" * (room % len(letter.encode()))
    return _with(draft, draft.json(**{name: text}), ACCEPTED)


def _long_ids(rng: random.Random, draft: Draft) -> Message:
    length = rng.choice([0, 1, 63, 64, 65, 10_000])
    text = f"{draft.number:x}"[:length] + rng.choice("x号😀") * max(0, length - len(f"{draft.number:x}"))
    found = (ACCEPTED, "conflicting_duplicate") if 0 < length <= 64 else ("schema",)
    return _with(draft, draft.json(instruction_id=text), *found)


def _deep(rng: random.Random, draft: Draft) -> Message:
    depth = rng.choice([2, 62, 63, 64, 65, 1_000, 5_000])  # inside the message's own object
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}")])
    if len(opening) * depth > 60_000 or rng.random() < 0.2:
        return _with(draft, (opening * min(depth, 60_000 // len(opening))).encode(), "malformed_json")
    name = rng.choice(["unknown", "attributes", "purpose"])
    fragment = opening * depth + "1" + closing * depth
    if depth + 1 > 64:
        return _with(draft, draft.raw(name, fragment), "malformed_json")
    return _with(draft, draft.raw(name, fragment), ACCEPTED if name == "unknown" else "schema")


def _many(rng: random.Random, draft: Draft) -> Message:
    """Thousands of fields, known to nobody."""
    count = rng.choice([10, 1_000, 4_000])
    if rng.random() < 0.5:
        return _with(draft, draft.json(**{f"f{rng.randrange(10**6)}": 1 for _ in range(count)}), ACCEPTED)
    values: list[Any] = [1, "x", [], None, 0.5, {}]
    value = rng.choice(values)
    found = "schema" if isinstance(value, (list, dict)) else ACCEPTED
    return _with(draft, draft.json(attributes={f"a{each}": value for each in range(count)}), found)


# --- values ---

_NUMBERS = [
    "0", "-0", "-0.0", "1e0", "1.0", "1E400", "-1e400", "1e-400", "9" * 30, "9" * 5_000, "0." + "9" * 400,
    str(2**63 - 1), str(2**63), str(-(2**63)), str(-(2**63) - 1), "1" + "0" * 309, "01", "+1", ".5", "1.", "0x1F",
]  # fmt: skip


def _numbers(rng: random.Random, draft: Draft) -> Message:
    name = rng.choice(["line_no", "fiscal_year", "schema_version", "amount", "attributes", "unknown"])
    number = rng.choice(_NUMBERS)
    return _with(draft, draft.raw(name, f'{{"x":{number}}}' if name == "attributes" else number))


def _not_a_number(rng: random.Random, draft: Draft) -> Message:
    name = rng.choice(["line_no", "amount", "attributes", "unknown"])
    number = rng.choice(["NaN", "Infinity", "-Infinity", "nan", "inf"])
    return _with(draft, draft.raw(name, f'{{"x":{number}}}' if name == "attributes" else number), "malformed_json")


_AMOUNTS = {
    "-0.00": True, "0.00": True, "-0.01": True, "9999999999999999.99": True, "-9999999999999999.99": True,
    "0000000000000001.00": True, "10000000000000000.00": False, "1": False, "1.0": False, "1.000": False,
    "1,000.00": False, "１.00": False, "1.00 ": False, "1.00\n": False, "+1.00": False, "NaN": False, "1e5": False,
    "": False, "-": False, "--1.00": False, ".00": False, "٣.00": False,
}  # fmt: skip


def _amounts(rng: random.Random, draft: Draft) -> Message:
    amount = rng.choice([*_AMOUNTS])
    currency = rng.choice(["CNY", "USD", "", "人民币", None])
    return _with(draft, draft.json(amount=amount, currency=currency), ACCEPTED if _AMOUNTS[amount] else "schema")


_TIMES = [
    "9999-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "99999-12-31T00:00:00+08:00", "0000-00-00T00:00:00Z",
    "0001-01-01T00:00:00+23:59", "1899-12-31T23:59:59Z", "2025-02-29T00:00:00Z", "2025-04-31T00:00:00Z",
    "2025-03-05T24:00:00Z", "2025-03-05T23:59:60Z", "2025-03-05T10:15:00", "2025-03-05", "1741140900", "now", "",
    "2025-03-05T10:15:00+24:00", "+002025-03-05T10:15:00Z", "-2025-03-05T10:15:00Z", "2025-W10-3T00:00:00Z",
    "２０２５-03-05T10:15:00Z", "2025-03-05T10:15:00.Z", "2025-03-05T10:15:00Ｚ",
]  # fmt: skip


def _times(rng: random.Random, draft: Draft) -> Message:
    if rng.random() < 0.3:
        voucher_date = rng.choice(["9999-12-31", "0001-01-01", "2024-02-29", "2000-02-29"])
        return _with(draft, draft.json(voucher_date=voucher_date), ACCEPTED)
    if rng.random() < 0.3:
        voucher_date = rng.choice(["10000-01-01", "0000-01-01", "2025-02-29", "2025-3-5", "20250305", ""])
        return _with(draft, draft.json(voucher_date=voucher_date), "schema")
    return _with(draft, draft.json(event_time=rng.choice(_TIMES)), "schema")


def _zones(rng: random.Random, draft: Draft) -> Message:
    """The same moment as it is written elsewhere."""
    moment = datetime.fromisoformat(draft.fields["event_time"])
    offset = timedelta(minutes=rng.randint(-23 * 60 - 59, 23 * 60 + 59))
    sign, minutes = "-" if offset < timedelta(0) else "+", abs(offset) // timedelta(minutes=1)
    local = (moment + offset).replace(tzinfo=None)
    zone = f"{sign}{minutes // 60:02}:{minutes % 60:02}"
    digits = "".join(rng.choices("0123456789", k=rng.randint(0, 30)))
    text = f"{local:%Y-%m-%d}{rng.choice('Tt ')}{local:%H:%M:%S}" + (f".{digits}" if digits else "") + zone
    return _with(draft, draft.json(event_time=text), ACCEPTED)


def _extremes(rng: random.Random, draft: Draft) -> Message:
    """The ends of the years that there are, on a topic without timestamps; each time in a jurisdiction of few."""
    time = rng.choice(["1900-01-01T00:00:00Z", "9998-12-31T23:59:59.999999Z", "1900-01-01T00:00:00+14:00"])
    jurisdiction = rng.choice(["first", "last"])
    value = draft.json(event_time=time, jurisdiction=jurisdiction)
    record = _with(draft, value, ACCEPTED, "too_late", "future_event_time")
    return replace(record, key=jurisdiction.encode(), timestamp=rng.choice([-1, -1, draft.record.timestamp]))


_FRAGMENTS = [
    "null", "true", "false", "0", "1", "-1", "1.5", '""', '"x"', '"true"', "[]", "{}", '[1,"x"]', '{"a":1}', '"办公"',
    '"\\u202e\\u200b\\ufeff"', '"\\\\"', '"\\""', '"<script>"', '"%s%n"', "\"'; --\"", '"${x}"', '"{amount}"', '"\x7f"',
]  # fmt: skip


def _wrong_types(rng: random.Random, draft: Draft) -> Message:
    name = rng.choice([*_FIELDS, "attributes"])
    return _with(draft, draft.raw(name, rng.choice(_FRAGMENTS)))


def _missing(rng: random.Random, draft: Draft) -> Message:
    required = ["instruction_id", "event_time", "jurisdiction", "budget_unit", "amount", "payment_mode", "settlement"]
    name = rng.choice(required)
    if rng.random() < 0.5:
        return _with(draft, draft.raw(name, "null"), "schema")
    return _with(draft, json_of({each: value for each, value in draft.fields.items() if each != name}), "schema")


def _twice(rng: random.Random, draft: Draft) -> Message:
    """Keys that come twice: the last one counts."""
    value = draft.record.value or b""
    name, other = rng.choice([("amount", '"77.00"'), ("purpose", '"乙"'), ("attributes", '{"a":1,"a":2}')])
    if rng.random() < 0.5:
        return _with(draft, value[:-1] + f',"{name}":{other}}}'.encode(), ACCEPTED)
    if rng.random() < 0.5:
        return _with(draft, value[:-1] + b',"amount":1}', "schema")
    return _with(draft, b'{"amount":[[]],' + value[1:], ACCEPTED)


def _cannot_be_shown(rng: random.Random, draft: Draft) -> Message:
    name = rng.choice(["payee_name", "purpose", "budget_unit_name", "initiator", "approver", "payee_account"])
    letters = "\u202e\u200b\ufeff\u0000\x1b[2J\u2028\u0301ﬁ①Ⅳ㊤ \t\n"
    text = "".join(rng.choices(letters, k=rng.randint(1, 40)))
    return _with(draft, draft.json(**{name: text}), ACCEPTED)


# --- keys, times, repetitions ---


def _wrong_key(rng: random.Random, draft: Draft) -> Message:
    if rng.random() < 0.3:
        record = _with(draft, draft.json(jurisdiction=ELSEWHERE), "wrong_key")
        return replace(record, key=ELSEWHERE.encode())
    key = rng.choice([None, b"", b"\xff\xfe", b"x" * 10_000, b"420100 ", rng.randbytes(6)])
    return replace(draft.record, key=key, may=frozenset({"wrong_key"}))


def _odd_keys(rng: random.Random, draft: Draft) -> Message:
    jurisdiction = rng.choice(_ODD_JURISDICTIONS)
    return replace(_with(draft, draft.json(jurisdiction=jurisdiction), ACCEPTED), key=jurisdiction.encode())


def _future(rng: random.Random, draft: Draft) -> Message:
    received = BEGIN + draft.number * TICK
    ahead, found = rng.choice([
        (timedelta(minutes=5), ACCEPTED), (timedelta(minutes=5, microseconds=1), "future_event_time"),
        (timedelta(days=400), "future_event_time"), (timedelta(days=365 * 5_000), "future_event_time"),
    ])  # fmt: skip
    return _with(draft, draft.json(event_time=(received + ahead).isoformat()), found)


def _late(rng: random.Random, draft: Draft) -> Message:
    days = rng.choice([1, 30, 31, 32, 400, 30_000])
    event_time = datetime.fromisoformat(draft.fields["event_time"]) - timedelta(days=days)
    return _with(draft, draft.json(event_time=event_time.isoformat()), ACCEPTED, "too_late")


def _again(rng: random.Random, draft: Draft) -> Message:
    """A message of before as it was; whether that one was accepted only the order knows."""
    before = good(draft.seed, max(0, draft.number - rng.randint(1, _AGO)))
    value = rng.choice([before.record.value, before.json(unknown=1), json_of(dict(reversed(before.fields.items())))])
    return replace(before.record, offset=draft.number, value=value, timestamp=draft.record.timestamp, may=ANY)


def _conflicting(rng: random.Random, draft: Draft) -> Message:
    before = good(draft.seed, max(0, draft.number - rng.randint(1, _AGO)))
    value = before.json(amount="77.77", purpose=f"{draft.number}")
    return replace(before.record, offset=draft.number, value=value, timestamp=draft.record.timestamp, may=ANY)


_FIELDS = (
    "schema_version", "instruction_id", "event_time", "jurisdiction", "fiscal_year", "voucher_no", "voucher_date",
    "batch_id", "line_no", "budget_unit", "budget_unit_name", "unit_level", "payer_account", "payer_account_kind",
    "payee_name", "payee_account", "payee_kind", "amount", "currency", "payment_mode", "settlement", "business_type",
    "economic_class", "purpose", "card_no", "initiator", "corrects", "green_channel",
)  # fmt: skip

# kind → how often, and how it is made
KINDS: dict[str, tuple[int, Kind]] = {
    "good": (200, _is_good),
    "random bytes": (50, _random_bytes),
    "truncated": (60, _truncated),
    "bytes changed": (120, _changed),
    "wrong encoding": (40, _encoding),
    "surrogates": (40, _surrogates),
    "NUL": (30, _nul),
    "empty": (20, _empty),
    "no object": (20, _no_object),
    "over 64 KiB": (10, _large),
    "10 MB": (4, _ten_megabytes),
    "64 KiB": (4, _just_fits),
    "long ids": (30, _long_ids),
    "deep nesting": (30, _deep),
    "thousands of fields": (4, _many),
    "huge numbers": (50, _numbers),
    "NaN": (20, _not_a_number),
    "amounts": (40, _amounts),
    "impossible times": (40, _times),
    "zones": (30, _zones),
    "ends of time": (5, _extremes),
    "wrong types": (80, _wrong_types),
    "missing": (20, _missing),
    "keys twice": (30, _twice),
    "not to be shown": (30, _cannot_be_shown),
    "wrong key": (30, _wrong_key),
    "odd keys": (20, _odd_keys),
    "ahead": (20, _future),
    "behind": (30, _late),
    "again": (40, _again),
    "again, changed": (20, _conflicting),
}
_NAMES = [*KINDS]
_WEIGHTS = [weight for weight, _ in KINDS.values()]
