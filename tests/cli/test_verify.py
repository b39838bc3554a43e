"""`keys` and `verify`, on files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.test_cli import Runner
from treasury_watch.adapters.signatures import SigningKey, make_key_pair

DECISION = '{"instruction_id":"PI-1","verdict":"pass","payee":"江汉办公用品有限公司"}'.encode()


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(capsys)


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return make_key_pair(tmp_path / "worker")


def envelope(key: SigningKey, value: bytes = DECISION, *, signed: bytes = DECISION) -> str:
    headers = ["signature", key.sign(signed), "signing_key", key.id]
    record = {"topic": "treasury.decisions", "partition": 0, "offset": 5, "headers": headers, "payload": value.decode()}
    return json.dumps(record, ensure_ascii=False) + "\n"


def test_a_new_pair_is_shown_by_its_id_from_either_file(cli: Runner, tmp_path: Path) -> None:
    made = json.loads(cli("keys", "new", tmp_path / "worker", "--json").out)
    assert made == {"key": made["key"], "private": f"{tmp_path}/worker", "public": f"{tmp_path}/worker.pub"}
    assert cli("keys", "show", tmp_path / "worker") == (0, f"{made['key']} (private)\n", "")
    assert cli("keys", "show", tmp_path / "worker.pub") == (0, f"{made['key']} (public)\n", "")


def test_a_key_that_is_there_stays(cli: Runner, tmp_path: Path, key: SigningKey) -> None:
    status, out, err = cli("keys", "new", tmp_path / "worker")
    assert (status, out) == (2, "")
    assert err == f"error: {tmp_path}/worker: is there already, and a key is never written over\n"
    assert cli("keys", "show", tmp_path / "worker").out == f"{key.id} (private)\n"


def test_what_holds_no_key_is_named(cli: Runner, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hunter2")
    status, out, err = cli("keys", "show", tmp_path / "text")
    assert (status, out) == (2, "")
    assert err == f"error: {tmp_path}/text: found no public key, expected an Ed25519 public key in PEM\n"
    assert cli("keys", "new", tmp_path / "none" / "worker").err.endswith("worker: No such file or directory\n")


def test_good_records_are_counted_by_key(cli: Runner, tmp_path: Path, key: SigningKey) -> None:
    (tmp_path / "records").write_text(envelope(key) * 3)
    assert cli("verify", "--key", tmp_path / "worker.pub", tmp_path / "records") == (
        0,
        f"3 verdicts: 3 verified (3 by {key.id})\n",
        "",
    )


def test_bad_records_are_findings_and_named(cli: Runner, tmp_path: Path, key: SigningKey) -> None:
    other = make_key_pair(tmp_path / "other")
    (tmp_path / "records").write_text(
        envelope(key)
        + envelope(key, DECISION.replace(b"pass", b"warn"))
        + envelope(other)
        + json.dumps({"payload": "not\u001b[31m JSON"})
    )
    arguments = ("verify", "--key", tmp_path / "worker.pub", tmp_path / "records")
    status, out, err = cli(*arguments)
    assert (status, out) == (
        1,
        f"4 verdicts: 1 verified, 1 not signed, 1 signed with another key, 1 changed or forged (1 by {key.id})\n",
    )
    assert err.splitlines() == [
        "treasury.decisions 0:5  PI-1  changed or forged",
        f"treasury.decisions 0:5  PI-1  signed with another key ({other.id})",
        "line 4  no instruction_id  not signed",
    ]
    result = json.loads(cli(*arguments, "--json").out)
    assert (result["verified"], result["wrong_signature"], len(result["bad"])) == (1, 1, 3)
    assert result["bad"][0] == {
        "where": "treasury.decisions 0:5",
        "instruction_id": "PI-1",
        "finding": "wrong_signature",
        "key": key.id,
    }


@pytest.mark.parametrize(("bad", "more"), [(10, []), (11, ["… and 1 more; --json lists all"])])
def test_ten_bad_records_are_named_and_the_others_counted(
    cli: Runner, tmp_path: Path, key: SigningKey, bad: int, more: list[str]
) -> None:
    (tmp_path / "records").write_text(envelope(key, signed=b"") * bad + envelope(key))
    arguments = ("verify", "--key", tmp_path / "worker.pub", tmp_path / "records")
    status, _, err = cli(*arguments)
    assert (status, err.splitlines()[10:]) == (1, more)
    assert len(json.loads(cli(*arguments, "--json").out)["bad"]) == bad


def test_a_verdict_that_is_not_there_is_a_finding(cli: Runner, tmp_path: Path, key: SigningKey) -> None:
    (tmp_path / "records").write_text(envelope(key))
    arguments = ("verify", "--key", tmp_path / "worker.pub", tmp_path / "records", "--instruction")
    assert cli(*arguments, "PI-1").status == 0
    assert cli(*arguments, "PI-2") == (1, "0 verdicts\n", "PI-2: no verdict on it was found\n")


def test_one_decision_is_verified_byte_for_byte_but_for_a_line_end(
    cli: Runner, tmp_path: Path, key: SigningKey
) -> None:
    arguments = ("verify", "--key", tmp_path, tmp_path / "decision", "--signature", key.sign(DECISION))
    (tmp_path / "decision").write_bytes(DECISION + b"\n")
    assert cli(*arguments) == (0, f"1 verdict: 1 verified (1 by {key.id})\n", "")
    (tmp_path / "decision").write_bytes(DECISION.replace(b",", b", "))
    assert cli(*arguments) == (
        1,
        "1 verdict: 1 changed or forged\n",
        f"{tmp_path}/decision  PI-1  changed or forged\n",
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--signature", "x"], "error: --signature: expected a FILE with the decision that it signs\n"),
        (["none"], "error: none: No such file or directory\n"),
        (["none", "--signature", "x"], "error: none: No such file or directory\n"),
        (["--key", "none"], "error: none: No such file or directory\n"),
    ],
)
def test_wrong_use_is_named(cli: Runner, tmp_path: Path, key: SigningKey, arguments: list[str], told: str) -> None:
    assert cli("verify", "--key", tmp_path / "worker.pub", *arguments) == (2, "", told)


def test_a_private_key_is_not_what_verifies(cli: Runner, tmp_path: Path, key: SigningKey) -> None:
    assert "found a private key, expected an Ed25519 public key" in cli("verify", "--key", tmp_path / "worker").err


def test_a_worker_does_not_start_without_the_key_that_it_is_to_sign_with(
    cli: Runner, tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker").chmod(0o644)
    monkeypatch.setenv("TREASURY_WATCH_SIGNING_KEY_FILE", str(tmp_path / "worker"))
    status, out, err = cli("worker")
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"error: TREASURY_WATCH_SIGNING_KEY_FILE: {tmp_path}/worker: everyone may ")
