"""Ed25519 signatures (RFC 8032): key files, signing and verifying bytes.

A key pair is two PEM files, as `openssl genpkey -algorithm ed25519` makes them too: a private one in PKCS #8, which
only its owner (and perhaps a group) may read, and a public one. A signature is 64 bytes and travels as base64 text, so
that it goes into a header, a JSON string or a command line alike.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from treasury_watch.adapters.secretfiles import SecretFileError, read_file, read_secret

PUBLIC_SUFFIX: Final = ".pub"


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """The public half of a key pair. `id` is the first 16 hex digits of the SHA-256 of its 32 raw bytes."""

    id: str
    _key: Ed25519PublicKey = field(repr=False)

    def verifies(self, message: bytes, signature: str) -> bool:
        """Whether this key's private half made this signature (base64) of exactly these bytes."""
        try:
            self._key.verify(base64.b64decode(signature, validate=True), message)
        except (binascii.Error, ValueError, InvalidSignature):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair; neither its `repr` nor an error shows the private half."""

    public: VerifyingKey
    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def id(self) -> str:
        return self.public.id

    def sign(self, message: bytes) -> str:
        """The signature of these bytes, base64 on one line (88 characters); the same bytes always give the same one."""
        return base64.b64encode(self._key.sign(message)).decode("ascii")


def make_key_pair(private: Path) -> SigningKey:
    """A new key pair: `private` (mode 0600) and beside it the public file, its name with `.pub` at its end.

    Raises SecretFileError when one of them is there already, since a key that is overwritten is lost, or cannot be
    written; then neither is left.
    """
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write_new(private, secret, 0o600)
    try:
        _write_new(public_file(private), public, 0o644)
    except SecretFileError:
        private.unlink()
        raise
    return SigningKey(_verifying(key.public_key()), key)


def public_file(private: Path) -> Path:
    """Where `make_key_pair` puts the public half."""
    return private.with_name(private.name + PUBLIC_SUFFIX)


def read_signing_key(path: Path) -> SigningKey:
    """The key pair of a private key's file. Raises SecretFileError."""
    pem = read_secret(path)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise SecretFileError(f"{path}: the key is protected by a passphrase, expected one without") from None
    except (ValueError, UnsupportedAlgorithm):
        found = "a public key" if b"PUBLIC KEY" in pem else "no private key"
        raise SecretFileError(f"{path}: found {found}, expected an Ed25519 private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SecretFileError(f"{path}: found a key of another kind, expected an Ed25519 private key in PEM")
    return SigningKey(_verifying(key.public_key()), key)


def read_verifying_key(path: Path) -> VerifyingKey:
    """The public key of a file. Raises SecretFileError; a private key is refused, as it has no business there."""
    pem = read_file(path)
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        found = "a private key" if b"PRIVATE KEY" in pem else "no public key"
        raise SecretFileError(f"{path}: found {found}, expected an Ed25519 public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise SecretFileError(f"{path}: found a key of another kind, expected an Ed25519 public key in PEM")
    return _verifying(key)


def read_verifying_keys(paths: Iterable[Path]) -> dict[str, VerifyingKey]:
    """Public keys by id; a path may be a directory, of which every `*.pub` and `*.pem` counts. Raises SecretFileError.

    A directory without any key is an error: nobody means to trust nobody.
    """
    keys: dict[str, VerifyingKey] = {}
    for path in paths:
        files = [path]
        if path.is_dir():
            files = sorted(each for each in path.iterdir() if each.suffix in (PUBLIC_SUFFIX, ".pem"))
            if not files:
                raise SecretFileError(f"{path}: found no key in this directory, expected files *.pub or *.pem")
        keys |= {key.id: key for key in map(read_verifying_key, files)}
    return keys


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise SecretFileError(f"{path}: is there already, and a key is never written over") from None
    except OSError as error:
        raise SecretFileError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        path.unlink()
        raise SecretFileError(f"{path}: {error.strerror}") from None


def _verifying(key: Ed25519PublicKey) -> VerifyingKey:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return VerifyingKey(hashlib.sha256(raw).hexdigest()[:16], key)
