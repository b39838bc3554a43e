"""The fast steps of the decoder accept nothing that the reference refuses, and read the same values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.builders import make_instruction
from treasury_watch.adapters import wire
from treasury_watch.domain.payment import FIELDS, Instruction
from treasury_watch.domain.verdict import Refusal

ORDINARY: dict[str, Any] = json.loads(wire.encode_instruction(make_instruction()))

# Values as JSON text, right and wrong ones, for any field.
TIMES = [
    "2025-03-05T10:15:00Z", "2025-03-05t10:15:00z", "2025-03-05 10:15:00+08:00", "2025-03-05T10:15:60Z",
    "2025-03-05T24:00:00Z", "2025-03-05T10:15:00", "2025-03-05T10:15Z", "2025-03-05T10:15:00+0800",
    "2025-03-05T10:15:00+08", "2025-03-05T10:15:00-00:00", "2025-03-05T10:15:00+23:59", "2025-03-05T10:15:00-23:59",
    "2025-03-05T10:15:00+24:00", "2025-03-05T10:15:00+23:60", "2025-02-29T00:00:00Z", "2024-02-29T00:00:00Z",
    "1899-12-31T23:59:59Z", "1900-01-01T00:00:00Z", "9998-12-31T23:59:59Z", "9999-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9998-12-31T23:59:59.9999995Z", "2025-W10-3", "2025-03-05",
    "20250305", "2025-3-5", "２０２５-03-05", "1741140900", "2025-03-05T10:15:00 Z", "2025-03-05T10:15:00.Z",
]  # fmt: skip
TEXTS = [
    *TIMES, "", "x" * 64, "x" * 65, "预算单位", "\x00", "\x7f", "1.00", "-0.01", "1.0", "01.00", "1", "１.00",
    "1.00\n", " 1.00", "9" * 16 + ".00", "9" * 17 + ".00", "+1.00", "NaN", "direct", "transfer", "county", "person",
    "tax", "special", "true", "null",
]  # fmt: skip
RAW = [
    "null", "true", "false", "0", "1", "-0", "1.0", "1e0", "2025", "1e400", "-1e400", "1e-400", "NaN", "Infinity",
    "-Infinity", str(2**63), str(2**63 - 1), str(-(2**63)), str(-(2**63) - 1), str(2**64), "9" * 30, "9" * 5000, "01",
    "1.", ".5", "+1", "0x1", "1e22", "0.1", "123456789012345678.9", "[]", "{}", '{"a":1}', '{"a":null}', '{"a":NaN}',
    '{"a":1e400}', '{"a":{"b":1}}', '{"a":[]}', '{"a":1.0,"a":true}', f'{{"a":{2**63}}}',
    f'{{"a":{2**63 - 1},"b":"文","c":-0.0}}', '{"":""}', '{"a":"\\ud800"}', '{"\\ud800":1}', '"\\ud800"',
    '"\\ud83d\\ude00"', '"\\ude00\\ud83d"', '"\\u0000"', '"\\x"', '"\x01"', '"\t"', '"\\/"', '"unfinished', "'x'", "",
    "[" * 65 + "]" * 65, "[" * 63 + "]" * 63, "[" * 2000 + "]" * 2000, "[" * 2000, '{"a":' * 70 + "1" + "}" * 70,
    '"' + "[" * 80 + '"', '"[\\"[[' + "[" * 80 + '"', "1 2", "tru", "nul", "[1,]", '{"a"}', '{"a":1,}', "/*c*/1",
]  # fmt: skip

times = st.builds(
    "{}-{:02}-{:02}{}{:02}:{:02}:{:02}{}{}".format,
    st.one_of(st.sampled_from(["0000", "0001", "1899", "1900", "9998", "9999"]), st.just("2024")),
    st.integers(0, 13),
    st.integers(0, 32),
    st.sampled_from("TtTt _"),
    st.integers(0, 24),
    st.integers(0, 60),
    st.integers(0, 61),
    st.one_of(st.just(""), st.text("0123456789", max_size=12).map(".{}".format), st.just(",5")),
    st.one_of(
        st.sampled_from(["", "Z", "z", "+00:00", "-00:00", "+0800", "+08", " +08:00"]),
        st.builds("{}{:02}:{:02}".format, st.sampled_from("+-"), st.integers(0, 25), st.integers(0, 61)),
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
fragments = st.one_of(
    st.sampled_from(TEXTS).map(json.dumps),
    st.sampled_from(RAW),
    times.map(json.dumps),
    st.builds(json.dumps, json_values, ensure_ascii=st.booleans()),
)
names = st.sampled_from([*FIELDS, "attributes", "attributes"]) | st.sampled_from(
    ["x", "Amount", "", "金额", "attributes.x", "\ud800"]
)
space = st.sampled_from(["", "", "", " ", "\r\n\t", "\x0b", "\u00a0", "\ufeff"])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """An ordinary message with some members replaced, added, repeated or dropped, then perhaps some bytes changed."""
    members = {name: json.dumps(value, ensure_ascii=draw(st.booleans())) for name, value in ORDINARY.items()}
    for name in draw(st.lists(st.sampled_from(list(ORDINARY)), max_size=1)):
        del members[name]
    pairs = list(members.items())
    for name, fragment in draw(st.lists(st.tuples(names, fragments), max_size=4)):
        pairs.insert(draw(st.integers(0, len(pairs))), (name, fragment))
    before, inside, after = draw(space), draw(space), draw(space)
    text = ",".join(f"{inside}{json.dumps(name, ensure_ascii=False)}:{inside}{value}" for name, value in pairs)
    data = bytearray(f"{before}{{{text}}}{after}".encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 2)) if draw(st.booleans()) else 0):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(data)


def assert_agreement(value: bytes) -> None:
    expected_unknown: dict[str, int] = {}
    expected = wire.reference(value, expected_unknown)
    decoded = wire.decode_batch([value])
    assert decoded.outcomes == [expected]
    assert decoded.unknown == expected_unknown
    if isinstance(expected, Instruction):
        (found,) = decoded.outcomes
        assert isinstance(found, Instruction)
        # The text tells 1 from 1.0 and true, and +08:00 from Z, which are equal as values.
        assert wire.encode_instruction(found) == wire.encode_instruction(expected)
        assert wire.decode(wire.encode_instruction(found)) == found
    else:
        expected.detail.encode()
        assert expected.detail
        assert "\n" not in expected.detail


@pytest.mark.no_cover
@settings(max_examples=1500)
@given(messages())
def test_every_step_agrees_with_the_reference_on_messages_that_are_nearly_right(value: bytes) -> None:
    assert_agreement(value)


@settings(max_examples=300)
@given(st.binary(max_size=60))
@example(b"")
@example(b" \r\n")
@example(b"\xef\xbb\xbf{}")
@example(b"[]")
@example(b'"x"')
@example(b"null")
@example(b"[" * 60_000)
@example(b'{"a":' * 12_000)
@example(b'{"instruction_id":' + b"[" * 60_000)
@example(b'"' * 65_536)
@example(b'"\\' * 32_768)
@example(b"\x00" * 100)
def test_every_step_agrees_with_the_reference_on_arbitrary_bytes(value: bytes) -> None:
    assert_agreement(value)


@settings(max_examples=1000)
@given(times)
def test_times_are_read_alike(text: str) -> None:
    assert_agreement(json.dumps(ORDINARY | {"event_time": text}).encode())
    assert_agreement(json.dumps(ORDINARY | {"event_time": text, "x": 1}).encode())


@given(st.sampled_from([*FIELDS, "attributes"]), fragments, st.booleans())
def test_one_value_in_one_field_is_read_alike(name: str, fragment: str, unknown: bool) -> None:
    rest = {each: value for each, value in ORDINARY.items() if each != name}
    more = ',"x":[1]' if unknown else ""
    assert_agreement(f'{json.dumps(rest)[:-1]},"{name}":{fragment}{more}}}'.encode("utf-8", "surrogatepass"))


def test_every_known_awkward_value_in_every_field_is_read_alike() -> None:
    for name in [*FIELDS, "attributes", "x"]:
        rest = json.dumps({each: value for each, value in ORDINARY.items() if each != name})[:-1]
        for fragment in [*map(json.dumps, TEXTS), *RAW]:
            assert_agreement(f'{rest},"{name}":{fragment}}}'.encode("utf-8", "surrogatepass"))


def test_the_fast_steps_take_what_they_are_there_for() -> None:
    ordinary = json.dumps(ORDINARY).encode()
    assert wire.straight(ordinary) == wire.reference(ordinary) == make_instruction()
    longer = json.dumps(ORDINARY | {"branch": {"no": [1, 2]}, "green_channel": None}).encode()
    assert wire.straight(longer) is None
    assert wire.simplified(longer, {}) == wire.reference(longer) == make_instruction()
    assert isinstance(wire.reference(b"{}"), Refusal)
