"""How to connect to the brokers of the settings: options for aiokafka's clients, credentials for Faust's."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError
from faust.auth import Credentials, SASLCredentials, SSLCredentials

from treasury_watch.adapters.settings import Settings


class BrokerError(Exception):
    """The brokers cannot be reached or do not do what was asked: one line that says which and why."""


def no_answer(settings: Settings) -> BrokerError:
    """The error to raise when a client cannot connect; brokers that refuse a login only hang up."""
    refused = " or lets this login in" if settings.sasl else ""
    return BrokerError(f"no broker answers{refused} at {settings.bootstrap_servers}")


@asynccontextmanager
async def administering(settings: Settings) -> AsyncIterator[Any]:
    """A started admin client. What goes wrong with it is raised as BrokerError."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        yield admin
    except KafkaConnectionError as error:
        raise no_answer(settings) from error
    except KafkaError as error:
        raise BrokerError(f"{settings.bootstrap_servers}: {error}") from error
    finally:
        await admin.close()


def client_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments that every aiokafka client of ours takes."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "client_id": "treasury-watch",
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _tls(settings)
    if settings.sasl and settings.sasl_password:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value(),
        }
    return options


def faust_credentials(settings: Settings) -> Credentials | None:
    """The same for Faust; `None` for a plain connection."""
    tls = _tls(settings) if settings.security_protocol.endswith("SSL") else None
    if settings.sasl and settings.sasl_password:
        return SASLCredentials(
            username=settings.sasl_username,
            password=settings.sasl_password.get_secret_value(),
            mechanism=settings.sasl_mechanism,
            ssl_context=tls,
        )
    return SSLCredentials(context=tls) if tls else None


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ssl_ca_file)
    except OSError as error:
        raise BrokerError(f"TREASURY_WATCH_SSL_CA_FILE: {settings.ssl_ca_file}: {error.strerror or error}") from error
