"""How to connect to the brokers of the settings: options for aiokafka's clients, credentials for Faust's."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest
from faust.auth import Credentials, SASLCredentials, SSLCredentials

from treasury_watch.adapters.secretfiles import SecretFileError, read_secret
from treasury_watch.adapters.settings import PREFIX, Settings

_PATIENCE_MS: Final = 5000
_LOGIN_ERRORS: Final = (AuthenticationFailedError, IllegalSaslStateError, SaslAuthenticationFailed)

_NO_RIGHT: Final = {
    TopicAuthorizationFailedError: "do this with the topic",
    GroupAuthorizationFailedError: "work in the group",
    ClusterAuthorizationFailedError: "write to any topic",  # which is what an idempotent producer asks for
    TransactionalIdAuthorizationFailed: "use the transactional id",
}


class BrokerError(Exception):
    """The brokers cannot be reached or do not do what was asked: one line that says which and why."""


class NoAnswer(BrokerError):
    """No broker is there, which time may mend."""


def no_answer(settings: Settings) -> BrokerError:
    """The error to raise when a client cannot connect. Clients only log why, so one broker after another is asked."""
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(asyncio.run, what_keeps_us_away(settings)).result()
    return found or NoAnswer(f"no broker answered at {settings.bootstrap_servers}, and now one does")


def broker_error(settings: Settings, error: KafkaError) -> BrokerError:
    """What a client of the brokers ran into, in one line."""
    if isinstance(error, (KafkaConnectionError, NodeNotReadyError)):
        return no_answer(settings)
    if isinstance(error, RequestTimedOutError):
        return NoAnswer(f"{settings.bootstrap_servers}: no answer in time")
    for kind, what in _NO_RIGHT.items():
        if isinstance(error, kind):
            names = error.args[0] if error.args else ""
            told = names if isinstance(names, str) else ", ".join(sorted(map(str, names)))
            return BrokerError(f"{who(settings)} has no right to {what}{f' ({told})' if told else ''}")
    return BrokerError(f"{settings.bootstrap_servers}: {error}")


def who(settings: Settings) -> str:
    """Whom brokers take us for, in words."""
    return f"login {settings.sasl_username}" if settings.sasl else "this client"


@asynccontextmanager
async def administering(settings: Settings) -> AsyncIterator[Any]:
    """A started admin client. What goes wrong with it is raised as BrokerError."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        yield admin
    except KafkaError as error:
        raise broker_error(settings, error) from error
    finally:
        await admin.close()


def client_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments that every aiokafka client of ours takes."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "client_id": "treasury-watch",
        "security_protocol": settings.security_protocol,
    }
    if settings.tls:
        options["ssl_context"] = _tls(settings)
    if settings.sasl:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": _password(settings),
        }
    return options


def faust_credentials(settings: Settings) -> Credentials | None:
    """The same for Faust; `None` for a plain connection."""
    tls = _tls(settings) if settings.tls else None
    if settings.sasl:
        return SASLCredentials(
            username=settings.sasl_username,
            password=_password(settings),
            mechanism=settings.sasl_mechanism,
            ssl_context=tls,
        )
    return SSLCredentials(context=tls) if tls else None


def _password(settings: Settings) -> str:
    try:
        return settings.password()
    except SecretFileError as error:
        raise BrokerError(f"{PREFIX}SASL_PASSWORD_FILE: {error}") from error


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ssl_ca_file)
    except OSError as error:
        raise BrokerError(f"{PREFIX}SSL_CA_FILE: {settings.ssl_ca_file}: {_why(error)}") from error
    if settings.ssl_certificate_file and settings.ssl_key_file:
        try:
            read_secret(settings.ssl_key_file)
        except SecretFileError as error:
            raise BrokerError(f"{PREFIX}SSL_KEY_FILE: {error}") from error
        try:
            context.load_cert_chain(settings.ssl_certificate_file, settings.ssl_key_file, _no_passphrase)
        except OSError as error:
            raise BrokerError(
                f"{PREFIX}SSL_CERTIFICATE_FILE, {PREFIX}SSL_KEY_FILE: {settings.ssl_certificate_file}, "
                f"{settings.ssl_key_file}: {_why(error)}"
            ) from error
    return context


def _no_passphrase() -> str:
    raise BrokerError(f"{PREFIX}SSL_KEY_FILE: the key is protected by a passphrase, expected one without")


async def what_keeps_us_away(settings: Settings) -> BrokerError | None:
    """`None` if a broker answers; what the first one says that is there and refuses; else NoAnswer."""
    options = client_options(settings)
    absent: set[str] = set()
    for server in options.pop("bootstrap_servers"):
        host, _, port = server.rpartition(":")
        try:
            connection = await create_conn(host.strip("[]"), int(port), request_timeout_ms=_PATIENCE_MS, **options)
            try:
                await connection.send(MetadataRequest([]))
                return None
            finally:
                connection.close()
        except ssl.SSLCertVerificationError as error:
            return BrokerError(f"{server}: the broker's certificate is not trusted: {error.verify_message}")
        except ssl.SSLError as error:
            return BrokerError(f"{server}: no TLS connection: {_why(error)}")
        except UnsupportedSaslMechanismError:
            return BrokerError(f"{server}: the broker has no login by {settings.sasl_mechanism}")
        except _LOGIN_ERRORS:
            return BrokerError(
                f"{server}: the broker does not let {settings.sasl_username} log in: wrong name or password"
            )
        except KafkaError:
            return BrokerError(f"{server}: the broker hangs up; perhaps it {_perhaps(settings)}")
        except (OSError, TimeoutError) as error:
            if not isinstance(error, ConnectionRefusedError):
                absent.add(_why(error))
    why = f": {', '.join(sorted(absent))}" if absent else ""
    return NoAnswer(f"no broker answers at {settings.bootstrap_servers}{why}")


def _perhaps(settings: Settings) -> str:
    if settings.ssl_certificate_file:
        return f"does not accept the certificate {settings.ssl_certificate_file}"
    other = f"expects other than {settings.security_protocol}"
    return f"{other}, or a certificate of the client" if settings.tls else other


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error) or "no answer in time"
