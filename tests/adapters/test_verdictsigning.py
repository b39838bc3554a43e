"""Signatures of verdicts: made by who publishes them, verified by who reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from treasury_watch.adapters.secretfiles import SecretFileError
from treasury_watch.adapters.signatures import SigningKey, make_key_pair
from treasury_watch.adapters.verdictsigning import Output, signed, signing_key, verify
from treasury_watch.adapters.verification import BadEnvelope, Verified, Verifier, envelopes

DECISION = '{"instruction_id":"PI-1","verdict":"intercept","reason":"差旅费"}'.encode()
CASE = DECISION[:-1] + b',"instruction":{"instruction_id":"PI-1"}}'
SOURCE = [("source_partition", b"2"), ("source_offset", b"100")]


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return make_key_pair(tmp_path / "worker")


def outputs() -> dict[str, list[Output]]:
    """What a held payment and a refused message become; decision and case share their headers."""
    return {
        "decisions": [(b"PI-1", DECISION, SOURCE)],
        "intercepts": [(b"PI-1", CASE, SOURCE)],
        "warnings": [],
        "dead-letters": [(None, b"\x00", [("reason", b"schema")])],
    }


def test_decisions_and_cases_are_signed_each_for_itself_and_dead_letters_are_not(key: SigningKey) -> None:
    found = signed(outputs(), key)
    for name, value in (("decisions", DECISION), ("intercepts", CASE)):
        ((record_key, published, headers),) = found[name]
        assert (record_key, published) == (b"PI-1", value)
        assert headers == [*SOURCE, ("signature", key.sign(value).encode()), ("signing_key", key.id.encode())]
        assert verify(value, headers, {key.id: key.public}) == ("verified", key.id)
    assert found["dead-letters"] == outputs()["dead-letters"]


def test_without_a_key_nothing_is_added() -> None:
    assert signed(outputs(), signing_key(None)) == outputs()


def test_what_was_changed_is_seen(key: SigningKey, tmp_path: Path) -> None:
    other = make_key_pair(tmp_path / "other")
    trusted = {key.id: key.public}
    ((_, value, headers),) = signed(outputs(), key)["decisions"]
    assert value is not None
    assert verify(value.replace(b"intercept", b"pass"), headers, trusted) == ("wrong_signature", key.id)
    assert verify(CASE, headers, trusted) == ("wrong_signature", key.id)
    assert verify(value, SOURCE, trusted) == ("unsigned", None)
    assert verify(value, headers, {other.id: other.public}) == ("unknown_key", key.id)
    forged = [("signature", other.sign(value).encode()), ("signing_key", key.id.encode())]
    assert verify(value, forged, trusted) == ("wrong_signature", key.id)
    assert verify(value, [("signature", b"\xff"), ("signing_key", key.id.encode())], trusted)[0] == "wrong_signature"
    assert verify(value, [("signature", headers[-2][1])], trusted) == ("unknown_key", None)


def test_a_key_is_read_once(tmp_path: Path, key: SigningKey) -> None:
    read = signing_key(tmp_path / "worker")
    (tmp_path / "worker").unlink()
    assert signing_key(tmp_path / "worker") is read
    with pytest.raises(SecretFileError, match="No such file"):
        signing_key(tmp_path / "another")


def test_both_keys_are_good_while_one_takes_the_place_of_the_other(key: SigningKey, tmp_path: Path) -> None:
    newer = make_key_pair(tmp_path / "newer")
    told: list[Verified] = []
    verifier = Verifier({each.id: each.public for each in (key, newer)}, told.append)
    for each in (key, newer, newer):
        ((_, value, headers),) = signed(outputs(), each)["decisions"]
        verifier.take("here", value, headers)
    assert verifier.by_key == {key.id: 1, newer.id: 2}
    assert told == []


def test_only_the_instructions_that_are_asked_for_are_looked_at(key: SigningKey) -> None:
    told: list[Verified] = []
    verifier = Verifier({key.id: key.public}, told.append, ["PI-2", "PI-3"])
    verifier.take("0:1", DECISION, SOURCE)
    verifier.take("0:2", DECISION.replace(b"PI-1", b"PI-2"), SOURCE)
    assert told == [Verified("0:2", "PI-2", "unsigned", None)]
    assert verifier.unseen == {"PI-3"}


def line(**changed: object) -> str:
    return json.dumps(
        {
            "topic": "treasury.decisions", "partition": 2, "offset": 7, "tstype": "create", "ts": 1, "broker": 1,
            "headers": ["source_partition", "2", "signing_key", None], "key": "PI-1", "payload": DECISION.decode(),
            **changed,
        },
        ensure_ascii=False,
    )  # fmt: skip


def test_records_are_read_as_kcat_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(f"{line()}\n\n{line(headers=[], topic='')}\n", encoding="utf-8")
    assert list(envelopes(path)) == [
        ("treasury.decisions 2:7", DECISION, [("source_partition", b"2"), ("signing_key", b"")]),
        ("line 3", DECISION, []),
    ]


@pytest.mark.parametrize("wrong", [line(payload=None), line(headers={"a": "b"}), DECISION.decode(), "{", "[]", "国"])
def test_a_line_that_is_no_record_is_named(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(f"{line()}\n{wrong}\n", encoding="utf-8")
    with pytest.raises(BadEnvelope, match=r"records\.jsonl:2: no record as kcat -J writes them: "):
        list(envelopes(path))
