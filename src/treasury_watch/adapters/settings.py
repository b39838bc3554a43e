"""Settings of the worker and the Kafka commands, from environment variables named `TREASURY_WATCH_…`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from treasury_watch.adapters.secretfiles import SecretFileError, read_password
from treasury_watch.engine.failsafe import SafeVerdict

PREFIX = "TREASURY_WATCH_"
_SECRET = ("sasl_password", "database_url")
_HOST_PORT = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}"


def _data_dir() -> Path:
    return Path(tempfile.gettempdir()) / f"treasury-watch-{os.getuid() if hasattr(os, 'getuid') else 'data'}"


class SettingsError(ValueError):
    """Wrong settings: one line for each, naming the variable, what was found and what was expected."""


class Settings(BaseSettings):
    """What a worker or a Kafka command needs to know. Each description is also what an error names as expected."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    bootstrap_servers: Annotated[
        str,
        Field(
            pattern=rf"^{_HOST_PORT}(,{_HOST_PORT})*$",
            description="host:port of one or more brokers, separated by commas",
        ),
    ] = "127.0.0.1:9092"
    group: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9._-]{1,200}$", description="a consumer group id: letters, digits, '.', '_', '-'"),
    ] = "treasury-watch"
    topic_prefix: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9._-]{0,200}$", description="letters, digits, '.', '_', '-', or nothing")
    ] = "treasury."
    partitions: Annotated[int, Field(ge=1, le=10_000, description="a whole number from 1 to 10000")] = 4
    replication: Annotated[int, Field(ge=1, le=100, description="a whole number from 1 to 100")] = 1
    partitioner: Annotated[
        Literal["murmur2", "crc32"], Field(description="murmur2 (Java, aiokafka) or crc32 (librdkafka)")
    ] = "murmur2"
    rules_dir: Annotated[
        Path | None, Field(description="a directory of rule files; without it the rules that came with the product")
    ] = None
    max_lateness_days: Annotated[int, Field(ge=0, le=3660, description="whole days from 0 to 3660")] = 31
    on_engine_error: Annotated[
        SafeVerdict, Field(description="warn, intercept or prohibit: the verdict on a payment that judging fails on")
    ] = "intercept"
    web_host: Annotated[str, Field(min_length=1, description="an address to listen on")] = "127.0.0.1"
    web_port: Annotated[
        int, Field(ge=0, le=65_535, description="a port number from 1 to 65535, or 0 for any free one")
    ] = 6066
    status_page: Annotated[
        bool, Field(description="true to show counts and the last cases on /status; the web port has no login")
    ] = False
    log_format: Annotated[Literal["console", "json"], Field(description="console or json")] = "console"
    data_dir: Annotated[Path, Field(description="a directory for Faust's files")] = Field(default_factory=_data_dir)
    idempotence: Annotated[
        bool, Field(description="true, or false for a broker without idempotent producers (the embedded one)")
    ] = True
    standby: Annotated[
        bool, Field(description="true to follow the states of other workers' partitions, for a quicker takeover")
    ] = False
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Field(description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
    ] = "PLAINTEXT"
    ssl_ca_file: Annotated[Path | None, Field(description="a PEM file of certificate authorities")] = None
    ssl_certificate_file: Annotated[Path | None, Field(description="a PEM file of this client's certificate")] = None
    ssl_key_file: Annotated[Path | None, Field(description="a PEM file of the certificate's private key")] = None
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], Field(description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    ] = "PLAIN"
    sasl_username: Annotated[str | None, Field(description="the name to log in with")] = None
    sasl_password: Annotated[SecretStr | None, Field(description="the password to log in with")] = None
    sasl_password_file: Annotated[Path | None, Field(description="a file that holds the password")] = None
    signing_key_file: Annotated[Path | None, Field(description="a PEM file of an Ed25519 private key")] = None
    author_keys: Annotated[str | None, Field(description="files or directories of public keys")] = None
    approver_keys: Annotated[str | None, Field(description="files or directories of public keys")] = None
    database_url: Annotated[
        SecretStr | None, Field(description="where cases are kept, such as postgresql://login:password@host:5432/name")
    ] = None
    database_url_file: Annotated[Path | None, Field(description="a file that holds that address")] = None

    @model_validator(mode="after")
    def _security_is_whole(self) -> Settings:
        complaints = list(self._security_complaints())
        if complaints:
            raise ValueError("\n".join(complaints))
        return self

    def _security_complaints(self) -> Iterator[str]:
        protocol = f"{PREFIX}SECURITY_PROTOCOL is {self.security_protocol}"
        if self.sasl_password and self.sasl_password_file:
            yield f"{PREFIX}SASL_PASSWORD, {PREFIX}SASL_PASSWORD_FILE: expected one of them, found both"
        if self.database_url and self.database_url_file:
            yield f"{PREFIX}DATABASE_URL, {PREFIX}DATABASE_URL_FILE: expected one of them, found both"
        password = self.sasl_password or self.sasl_password_file
        if self.sasl and not (self.sasl_username and password):
            yield (
                f"{PREFIX}SASL_USERNAME, {PREFIX}SASL_PASSWORD (or {PREFIX}SASL_PASSWORD_FILE): expected both, as "
                f"{protocol}"
            )
        if (self.ssl_certificate_file is None) != (self.ssl_key_file is None):
            yield f"{PREFIX}SSL_CERTIFICATE_FILE, {PREFIX}SSL_KEY_FILE: expected both or neither, found one"
        # Whoever names a password or an authority means to be protected, and would not be.
        if not self.sasl and (self.sasl_username or password):
            yield f"{PREFIX}SASL_USERNAME, {PREFIX}SASL_PASSWORD: expected neither, as {protocol}"
        if not self.tls and (self.ssl_ca_file or self.ssl_certificate_file):
            yield f"{PREFIX}SSL_CA_FILE, {PREFIX}SSL_CERTIFICATE_FILE: expected neither, as {protocol}"
        if self.sasl_password_file:
            try:
                self.password()
            except SecretFileError as error:
                yield f"{PREFIX}SASL_PASSWORD_FILE: {error}"

    @property
    def sasl(self) -> bool:
        return self.security_protocol.startswith("SASL")

    @property
    def tls(self) -> bool:
        return self.security_protocol.endswith("SSL")

    def password(self) -> str:
        """The password to log in with, read anew from its file where there is one. Raises SecretFileError."""
        if self.sasl_password_file is None:
            return self.sasl_password.get_secret_value() if self.sasl_password else ""
        return read_password(self.sasl_password_file)

    def database(self) -> str:
        """Where cases are kept, with the password, read anew from its file where there is one; empty where neither is
        set. Raises SecretFileError.
        """
        if self.database_url_file is None:
            return self.database_url.get_secret_value() if self.database_url else ""
        return read_password(self.database_url_file)

    @property
    def max_lateness(self) -> timedelta:
        return timedelta(days=self.max_lateness_days)

    def topic(self, name: str) -> str:
        """The full name of a topic of the contract, such as `payments`."""
        return self.topic_prefix + name


def load_settings(**overrides: Any) -> Settings:
    """The settings of the environment, `overrides` going first.

    Raises SettingsError with one line per wrong variable; the value of a secret is never in it.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(dict.fromkeys(_complaint(each) for each in error.errors()))) from None


def _complaint(error: Any) -> str:
    if not error["loc"]:
        return str(error["ctx"]["error"])
    name = str(error["loc"][0])
    expected = Settings.model_fields[name].description
    found = "a value that is not valid" if name in _SECRET else repr(str(error["input"])[:100])
    return f"{PREFIX}{name.upper()}: expected {expected}, found {found}"
