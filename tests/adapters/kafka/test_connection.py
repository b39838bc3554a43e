"""How to reach the brokers: what files have to hold, and why nobody can be reached."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    UnknownError,
)
from cryptography.hazmat.primitives import serialization

from scripts.kafka_security import certify
from treasury_watch.adapters.kafka.connection import (
    BrokerError,
    NoAnswer,
    broker_error,
    client_options,
    faust_credentials,
    no_answer,
)
from treasury_watch.adapters.settings import Settings, load_settings


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a broker's certificate for 127.0.0.1 and a client's."""
    folder = tmp_path_factory.mktemp("certificates")
    certify(folder)
    return folder


@pytest.fixture
def files(made: Path, tmp_path: Path) -> Path:
    """The same, to be spoilt."""
    return shutil.copytree(made, tmp_path / "certificates")


def secured(files: Path, **overrides: Any) -> Settings:
    return load_settings(
        **{
            "security_protocol": "SASL_SSL",
            "sasl_username": "worker",
            "sasl_password": "hunter2",
            "ssl_ca_file": files / "ca.pem",
            "ssl_certificate_file": files / "client.pem",
            "ssl_key_file": files / "client.key",
            **overrides,
        }
    )


def test_clients_check_who_the_broker_is_and_say_who_they_are(files: Path) -> None:
    options = client_options(secured(files, sasl_mechanism="SCRAM-SHA-512"))
    context = options["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert [options[name] for name in ("security_protocol", "sasl_mechanism", "sasl_plain_username")] == [
        "SASL_SSL",
        "SCRAM-SHA-512",
        "worker",
    ]
    assert options["sasl_plain_password"] == "hunter2"
    assert "hunter2" not in repr(faust_credentials(secured(files)))
    assert faust_credentials(load_settings()) is None


def test_a_password_that_is_gone_meanwhile_is_told(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.touch(0o600)
    path.write_text("hunter2")
    settings = secured(files, sasl_password=None, sasl_password_file=path)
    path.unlink()
    with pytest.raises(BrokerError, match=r"^TREASURY_WATCH_SASL_PASSWORD_FILE: .*password: No such file"):
        client_options(settings)


def sealed(path: Path) -> None:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(pem, form, serialization.BestAvailableEncryption(b"x")))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda files: (files / "ca.pem").unlink(), r"^TREASURY_WATCH_SSL_CA_FILE: .*ca\.pem: No such file"),
        (lambda files: (files / "ca.pem").write_text("-"), r"^TREASURY_WATCH_SSL_CA_FILE: .*ca\.pem: no certificate"),
        (lambda files: (files / "client.key").chmod(0o644), r"^TREASURY_WATCH_SSL_KEY_FILE: .*\(mode 0644\)"),
        (lambda files: (files / "client.key").unlink(), r"^TREASURY_WATCH_SSL_KEY_FILE: .*client\.key: No such file"),
        (lambda files: sealed(files / "client.key"), r"^TREASURY_WATCH_SSL_KEY_FILE: .* is protected by a passphrase"),
        (
            lambda files: (files / "client.pem").unlink(),
            r"^TREASURY_WATCH_SSL_CERTIFICATE_FILE, .*: No such file or directory$",
        ),
        (
            lambda files: shutil.copy(files / "ca.pem", files / "client.pem"),
            r"^TREASURY_WATCH_SSL_CERTIFICATE_FILE, TREASURY_WATCH_SSL_KEY_FILE: .*: key values mismatch$",
        ),
    ],
)
def test_a_file_that_does_not_hold_what_it_should_is_named(files: Path, spoil: Any, told: str) -> None:
    spoil(files)
    with pytest.raises(BrokerError, match=told) as raised:
        client_options(secured(files))
    assert "\n" not in str(raised.value)


@contextmanager
def server(context: ssl.SSLContext | None) -> Iterator[str]:
    """The address of somebody who hangs up on everyone, after the TLS handshake where there is a context."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                    if context:
                        connection = context.wrap_socket(connection, server_side=True)
                except ssl.SSLError:
                    continue
                except OSError:
                    return
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def tls(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({}, "the broker hangs up; perhaps it does not accept the certificate {files}/client.pem"),
        (
            {"ssl_certificate_file": None, "ssl_key_file": None},
            "the broker hangs up; perhaps it expects other than SASL_SSL, or a certificate of the client",
        ),
        ({"ssl_ca_file": None}, "the broker's certificate is not trusted: unable to get local issuer certificate"),
    ],
)
def test_who_hangs_up_or_is_not_trusted_is_told(files: Path, overrides: dict[str, Any], told: str) -> None:
    with server(tls(files / "broker.pem")) as address:
        error = no_answer(secured(files, bootstrap_servers=address, **overrides))
    assert str(error) == f"{address}: {told.format(files=files)}"
    assert not isinstance(error, NoAnswer)


def test_a_broker_of_another_name_is_not_trusted(tmp_path: Path) -> None:
    certify(tmp_path, "DNS:kafka.example.org")
    with server(tls(tmp_path / "broker.pem")) as address:
        error = no_answer(secured(tmp_path, bootstrap_servers=address))
    assert str(error).startswith(
        f"{address}: the broker's certificate is not trusted: IP address mismatch, certificate is not valid for "
        "'127.0.0.1'"
    )


def test_who_does_not_speak_tls_is_told(files: Path) -> None:
    with server(None) as address:
        assert str(no_answer(load_settings(bootstrap_servers=address))) == (
            f"{address}: the broker hangs up; perhaps it expects other than PLAINTEXT"
        )


def test_the_broker_that_refuses_is_told_rather_than_those_that_are_not_there(files: Path) -> None:
    with server(tls(files / "broker.pem")) as address:
        settings = secured(files, bootstrap_servers=f"127.0.0.1:1,{address}", ssl_ca_file=None)
        assert str(no_answer(settings)).startswith(f"{address}: the broker's certificate is not trusted")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KafkaConnectionError("gone"), "no broker answers at 127.0.0.1:1"),
        (NodeNotReadyError("none is known"), "no broker answers at 127.0.0.1:1"),
        (RequestTimedOutError(), "127.0.0.1:1: no answer in time"),
    ],
)
def test_what_time_may_mend_is_told_apart(error: KafkaError, told: str) -> None:
    found = broker_error(load_settings(bootstrap_servers="127.0.0.1:1"), error)
    assert isinstance(found, NoAnswer)
    assert str(found) == told


def test_when_nobody_is_there_all_are_named() -> None:
    error = no_answer(load_settings(bootstrap_servers="127.0.0.1:1,127.0.0.1:2"))
    assert str(error) == "no broker answers at 127.0.0.1:1,127.0.0.1:2"
    assert isinstance(error, NoAnswer)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TopicAuthorizationFailedError("t"), "login worker has no right to do this with the topic (t)"),
        (TopicAuthorizationFailedError({"b", "a"}), "login worker has no right to do this with the topic (a, b)"),
        (GroupAuthorizationFailedError("tw"), "login worker has no right to work in the group (tw)"),
        (ClusterAuthorizationFailedError(), "login worker has no right to write to any topic"),
        (UnknownError("it broke"), "127.0.0.1:9092: [Error -1] UnknownError: it broke"),
    ],
)
def test_what_brokers_refuse_is_said_in_a_line(files: Path, error: KafkaError, told: str) -> None:
    assert str(broker_error(secured(files), error)) == told
