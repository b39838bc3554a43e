"""Apache Kafka with TLS, logins and rights: every role does its work and no more; what is wrong is one clear line."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts import kafka_security
from tests.conftest import MISSING, ROOT
from tests.integration.installation import Installation, payments, until
from tests.test_cli import RULES, Runner
from treasury_watch.adapters.acls import ROLES, TOPIC_RIGHTS, Role
from treasury_watch.adapters.kafka.connection import administering
from treasury_watch.adapters.kafka.descriptions import describe
from treasury_watch.adapters.kafka.topics import TOPICS, create_topics
from treasury_watch.adapters.settings import PREFIX, Settings, load_settings
from treasury_watch.adapters.signatures import make_key_pair
from treasury_watch.adapters.wire import encode_instruction

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The secrets of a broker of our own, with topics and rights on it."""
    folder = tmp_path_factory.mktemp("kafka-secure")
    script = [sys.executable, str(ROOT / "scripts" / "kafka")]
    started = subprocess.run([*script, "start", "--secure", "--dir", str(folder)], capture_output=True, text=True)
    if started.returncode == MISSING:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    try:
        asyncio.run(create_topics(settings_of(folder / "secrets", "operator")))
        yield folder / "secrets"
    finally:
        subprocess.run([*script, "reset", "--dir", str(folder)], check=True)


def environment(secrets: Path, role: str) -> dict[str, str]:
    """What the role's file sets when it is sourced."""
    words = shlex.split((secrets / f"{role}.env").read_text())
    return dict(word.split("=", 1) for word in words if word != "export")


def settings_of(secrets: Path, role: str, **overrides: Any) -> Settings:
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environment(secrets, role).items()}
    return load_settings(**{**given, **overrides})


class Roles:
    """Runs commands in this process with the settings of a role."""

    def __init__(self, secrets: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
        self._secrets, self._run, self._monkeypatch = secrets, runner, monkeypatch

    def __call__(self, role: str, *arguments: str | Path, changed: Mapping[str, str | None] = {}) -> Any:
        with self._monkeypatch.context() as patch:
            for name, value in {**environment(self._secrets, role), **changed}.items():
                if value is not None:
                    patch.setenv(name, value)
            return self._run(*arguments)


@pytest.fixture
def roles(secrets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Roles:
    return Roles(secrets, Runner(capsys), monkeypatch)


async def test_every_role_does_its_part_and_no_secret_is_told(secrets: Path, roles: Roles, tmp_path: Path) -> None:
    key = make_key_pair(tmp_path / "signing")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULES, encoding="utf-8")
    for command in (["check", "--fix"], ["publish"]):
        ran = await asyncio.to_thread(roles, "rule-publisher", "rules", *command, tmp_path / "rules")
        assert ran.status == 0, ran.err
    judging = Installation(
        settings_of(
            secrets,
            "worker",
            data_dir=tmp_path,
            signing_key_file=tmp_path / "signing",
            standby=True,
            ssl_certificate_file=secrets / "client.pem",
            ssl_key_file=secrets / "client.key",
        ),
        tmp_path,
    )
    worker, other = judging.worker(), judging.worker()

    def decided() -> float:
        return sum(each.metrics()["treasury_watch_decision_latency_seconds_count"] for each in judging.workers)

    def followed() -> float:
        return sum(each.metrics()["treasury_watch_standby_partitions"] for each in judging.workers)

    try:
        paying = Installation(settings_of(secrets, "payment-system"), tmp_path)
        await paying.pay([*payments(200), *payments(2, start=200, amount="500000.00")])
        for each in judging.workers:
            await each.ready()

        await until(lambda: decided() == 202)
        await until(lambda: followed() == judging.settings.partitions)
        before = other.metrics()["treasury_watch_decision_latency_seconds_count"]
        assert worker.stop() == 0
        await paying.pay(payments(10, start=202))
        await until(lambda: other.metrics()["treasury_watch_decision_latency_seconds_count"] == before + 10)
        status, out, err = await asyncio.to_thread(roles, "auditor", "verify", "--key", tmp_path / "signing.pub")
        metrics = other.get("/metrics")[1]
        assert other.stop() == 0
    finally:
        judging.close()
    # 212 decisions, 2 of them intercepts, too
    assert (status, out, err) == (0, f"214 verdicts: 214 verified (214 by {key.id})\n", "")

    planted = [
        *((secrets / f"{role}.password").read_text().strip() for role in ("worker", "payment-system", "auditor")),
        *(tmp_path / "signing").read_text().splitlines()[1:-1],
        *(secrets / "client.key").read_text().splitlines()[1:-1],
    ]
    assert "treasury_watch_instructions_total" in metrics
    assert f"verdicts are signed with key {key.id}" in worker.text()
    assert [secret for secret in planted if secret in worker.text() + other.text() + metrics + out + err] == []


def test_a_broker_tells_nobody_its_logins(secrets: Path) -> None:
    planted = [path.read_text().strip() for path in secrets.glob("*.password")]
    assert len(planted) == len(ROLES) + 2
    log = (secrets.parent / "server.log").read_text()
    assert [secret for secret in planted if secret in log] == []
    assert [path.name for path in secrets.iterdir() if path.stat().st_mode & 0o077 and path.suffix != ".pem"] == []


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_do_what_the_table_says_and_no_more(secrets: Path, role: Role) -> None:
    settings = settings_of(secrets, role)
    async with administering(settings) as admin:
        found = await describe(admin, [settings.topic(name) for name in TOPICS])
    allowed = {name: found[settings.topic(name)].operations for name in TOPICS}
    wanted = {name: {*TOPIC_RIGHTS[role].get(name, ())} for name in TOPICS}
    for operations in wanted.values():
        if operations:
            operations.add("describe")  # goes with every other
    assert allowed == wanted


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of an authority that this broker does not know, and whose broker this is not."""
    folder = tmp_path_factory.mktemp("others")
    kafka_security.certify(folder)
    return folder


def wrong_ways(secrets: Path, others: Path) -> dict[str, tuple[dict[str, str | None], str]]:
    password = "planted-in-the-environment"
    return {
        "password": (
            {"SASL_PASSWORD_FILE": None, "SASL_PASSWORD": password},
            "the broker does not let worker log in: wrong name or password",
        ),
        "name": ({"SASL_USERNAME": "nobody"}, "the broker does not let nobody log in: wrong name or password"),
        "mechanism": ({"SASL_MECHANISM": "PLAIN"}, "the broker has no login by PLAIN"),
        "authority": (
            {"SSL_CA_FILE": str(others / "ca.pem")},
            "the broker's certificate is not trusted: unable to get local issuer certificate",
        ),
        "certificate": (
            {
                "SSL_CERTIFICATE_FILE": str(others / "client.pem"),
                "SSL_KEY_FILE": str(others / "client.key"),
            },
            f"the broker hangs up; perhaps it does not accept the certificate {others / 'client.pem'}",
        ),
        "no TLS": (
            {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SSL_CA_FILE": None},
            "the broker hangs up; perhaps it expects other than SASL_PLAINTEXT",
        ),
    }


@pytest.mark.parametrize("way", ["password", "name", "mechanism", "authority", "certificate", "no TLS"])
@pytest.mark.parametrize("command", [["worker"], ["dead-letters", "list"]])
def test_a_connection_that_is_refused_is_one_line_that_says_why(
    secrets: Path, others: Path, roles: Roles, way: str, command: list[str]
) -> None:
    changed, told = wrong_ways(secrets, others)[way]
    status, out, err = roles("worker", *command, changed={PREFIX + name: value for name, value in changed.items()})
    assert (status, out) == (2, "")
    address = environment(secrets, "worker")[f"{PREFIX}BOOTSTRAP_SERVERS"]
    assert err == f"error: {address}: {told}\n"


@pytest.mark.parametrize(
    ("role", "command", "told"),
    [
        ("console", ["worker"], "treasury.payments: found no right of login console to see it, expected the rights "),
        ("auditor", ["worker"], "treasury.decisions: found no right of login auditor to write, expected the rights "),
        ("console", ["topics", "create"], "treasury.payments was not created: login console has no right to create it"),
        ("rule-publisher", ["dead-letters", "list"], "login rule-publisher has no right to "),
        ("worker", ["acls", "create"], "ACLs cannot be read: "),
    ],
)
def test_a_right_that_is_missing_is_named(roles: Roles, role: str, command: list[str], told: str) -> None:
    status, out, err = roles(role, *command)
    assert status == 2
    assert told in err
    assert "Traceback" not in out + err


def test_publishing_without_the_right_to_is_told_and_nothing_is_sent(roles: Roles, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(encode_instruction(payments(1)[0]))
    assert roles("worker", "publish", tmp_path / "p.jsonl") == (
        2,
        "",
        "error: treasury.payments: found no right of login worker to write, expected the rights of payment-system\n",
    )


def test_rights_that_are_not_in_the_table_are_found(secrets: Path, roles: Roles) -> None:
    assert roles("admin", "acls", "create").out == "0 created, 88 were there\n"
    status, out, err = roles("admin", "acls", "create", "--principal", "console=User:eve", "--json")
    assert (status, len(json.loads(out)["created"])) == (1, 7)
    assert "not in the list: User:console may write topic treasury.dispositions\n" in err
    status, out, err = roles("admin", "acls", "create")
    assert (status, out) == (1, "0 created, 88 were there\n")
    assert "not in the list: User:eve may write topic treasury.dispositions\n" in err
