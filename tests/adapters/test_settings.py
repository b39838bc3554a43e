"""Settings: what is wrong is named, what is secret is not shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from treasury_watch.adapters.settings import PREFIX, Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("TREASURY_WATCH_")]:
        monkeypatch.delenv(name)


def test_without_any_variable_everything_has_a_value() -> None:
    settings = load_settings()
    assert settings.topic("payments") == "treasury.payments"
    assert (settings.web_host, settings.web_port) == ("127.0.0.1", 6066)
    assert settings.max_lateness.days == 31


def test_the_environment_is_read_and_an_override_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREASURY_WATCH_TOPIC_PREFIX", "测试".encode().hex() + ".")
    monkeypatch.setenv("TREASURY_WATCH_RULES_DIR", "/etc/规则")
    monkeypatch.setenv("TREASURY_WATCH_PARTITIONS", "12")
    settings = load_settings(partitions=6)
    assert settings.topic("decisions") == "e6b58be8af95.decisions"
    assert settings.rules_dir == Path("/etc/规则")
    assert settings.partitions == 6


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PARTITIONS", "0", "a whole number from 1 to 10000"),
        ("PARTITIONS", "four", "a whole number from 1 to 10000"),
        ("PARTITIONER", "md5", "murmur2 (Java, aiokafka) or crc32 (librdkafka)"),
        ("BOOTSTRAP_SERVERS", "kafka", "host:port of one or more brokers, separated by commas"),
        ("BOOTSTRAP_SERVERS", "a:9092,", "host:port of one or more brokers, separated by commas"),
        ("BOOTSTRAP_SERVERS", "", "host:port of one or more brokers, separated by commas"),
        ("WEB_PORT", "65536", "a port number from 1 to 65535, or 0 for any free one"),
        ("LOG_FORMAT", "xml", "console or json"),
        ("TOPIC_PREFIX", "国库.", "letters, digits, '.', '_', '-', or nothing"),
        (
            "ON_ENGINE_ERROR",
            "pass",
            "warn, intercept or prohibit: the verdict on a payment that judging fails on",
        ),
        ("MAX_LATENESS_DAYS", "-1", "whole days from 0 to 3660"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(f"TREASURY_WATCH_{name}", value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value) == f"TREASURY_WATCH_{name}: expected {expected}, found {value!r}"


@pytest.mark.parametrize("servers", ["kafka-1:9092", "10.0.0.1:9092,10.0.0.2:9092", "[::1]:9092"])
def test_brokers_are_named_by_host_and_port(servers: str) -> None:
    assert load_settings(bootstrap_servers=servers).bootstrap_servers == servers


def test_all_wrong_values_are_named_at_once_one_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREASURY_WATCH_PARTITIONS", "x")
    monkeypatch.setenv("TREASURY_WATCH_WEB_PORT", "y")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert [line.partition(":")[0] for line in str(raised.value).splitlines()] == [
        "TREASURY_WATCH_PARTITIONS",
        "TREASURY_WATCH_WEB_PORT",
    ]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"security_protocol": "SASL_SSL", "sasl_password": "hunter2"},
            "TREASURY_WATCH_SASL_USERNAME, TREASURY_WATCH_SASL_PASSWORD (or "
            "TREASURY_WATCH_SASL_PASSWORD_FILE): expected both, as TREASURY_WATCH_SECURITY_PROTOCOL is SASL_SSL",
        ),
        (
            {"security_protocol": "SASL_SSL", "sasl_username": "worker"},
            "TREASURY_WATCH_SASL_USERNAME, TREASURY_WATCH_SASL_PASSWORD (or "
            "TREASURY_WATCH_SASL_PASSWORD_FILE): expected both, as TREASURY_WATCH_SECURITY_PROTOCOL is SASL_SSL",
        ),
        (
            {"sasl_username": "worker", "sasl_password": "hunter2"},
            "TREASURY_WATCH_SASL_USERNAME, TREASURY_WATCH_SASL_PASSWORD: expected neither, as "
            "TREASURY_WATCH_SECURITY_PROTOCOL is PLAINTEXT",
        ),
        (
            {
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_username": "w",
                "sasl_password": "x",
                "ssl_ca_file": "ca.pem",
            },
            "TREASURY_WATCH_SSL_CA_FILE, TREASURY_WATCH_SSL_CERTIFICATE_FILE: expected neither, as "
            "TREASURY_WATCH_SECURITY_PROTOCOL is SASL_PLAINTEXT",
        ),
        (
            {"security_protocol": "SSL", "ssl_certificate_file": "client.pem"},
            "TREASURY_WATCH_SSL_CERTIFICATE_FILE, TREASURY_WATCH_SSL_KEY_FILE: expected both or neither, found one",
        ),
    ],
)
def test_what_does_not_fit_together_is_named(given: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(**given)
    assert str(raised.value) == told


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "密码"
    path.touch(0o600)
    path.write_text("猎人 hunter2\n", encoding="utf-8")
    return path


def login(password_file: Path, **overrides: str) -> Settings:
    return load_settings(
        security_protocol="SASL_SSL", sasl_username="worker", sasl_password_file=password_file, **overrides
    )


def test_a_password_is_read_from_its_file_whenever_it_is_asked_for(password_file: Path) -> None:
    settings = login(password_file)
    assert settings.password() == "猎人 hunter2"
    password_file.write_text("another")
    assert settings.password() == "another"


def test_a_password_comes_from_one_place_only(password_file: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        login(password_file, sasl_password="hunter3")
    assert str(raised.value) == (
        "TREASURY_WATCH_SASL_PASSWORD, TREASURY_WATCH_SASL_PASSWORD_FILE: expected one of them, found both"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "found no password, expected one line with a password"),
        (b"\n", "found no password, expected one line with a password"),
        (b"hunter2\nhunter3\n", "found 2 lines, expected one line with a password"),
        (b"hunter2\xff", "found bytes that are not UTF-8, expected one line with a password"),
        (b"hunter2" * 10_000, "found more than 65,536 bytes, expected a key or a password"),
    ],
)
def test_a_file_that_holds_no_password_is_named_and_its_content_not_shown(
    password_file: Path, content: bytes, told: str
) -> None:
    password_file.write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        login(password_file)
    assert str(raised.value) == f"TREASURY_WATCH_SASL_PASSWORD_FILE: {password_file}: {told}"


def test_a_password_that_everyone_may_read_is_refused(password_file: Path) -> None:
    password_file.chmod(0o640)
    assert login(password_file).password()
    password_file.chmod(0o644)
    with pytest.raises(SettingsError, match=r"\(mode 0644\); expected at most 0640, try: chmod 600 "):
        login(password_file)
    password_file.unlink()
    with pytest.raises(SettingsError, match=r"密码: No such file or directory$"):
        login(password_file)


def test_a_password_is_never_shown() -> None:
    settings = load_settings(security_protocol="SASL_SSL", sasl_username="worker", sasl_password="hunter2")
    assert "hunter2" not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.password() == "hunter2"


def test_the_operations_guide_names_every_setting() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [name for name in Settings.model_fields if f"`{PREFIX}{name.upper()}`" not in guide] == []
