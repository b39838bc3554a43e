"""Ed25519 signatures and their key files."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from treasury_watch.adapters.secretfiles import SecretFileError, read_secret
from treasury_watch.adapters.signatures import (
    make_key_pair,
    public_file,
    read_signing_key,
    read_verifying_key,
    read_verifying_keys,
)

MESSAGE = '{"instruction_id":"PI-1","verdict":"pass","reason":"差旅费"}'.encode()
PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


def test_what_a_key_signed_its_public_half_verifies(tmp_path: Path) -> None:
    made = make_key_pair(tmp_path / "worker")
    signature = read_signing_key(tmp_path / "worker").sign(MESSAGE)
    assert len(signature) == 88
    assert signature == made.sign(MESSAGE)
    assert read_verifying_key(public_file(tmp_path / "worker")).verifies(MESSAGE, signature)


def test_the_signature_is_that_of_rfc_8032() -> None:
    """Section 7.1, test 2: the message is the one byte 72."""
    from treasury_watch.adapters.signatures import SigningKey, _verifying

    key = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    )
    signature = base64.b64decode(SigningKey(_verifying(key.public_key()), key).sign(b"\x72"))
    assert signature.hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (MESSAGE + b" ", lambda text: text),
        (MESSAGE.replace(b"pass", b"warn"), lambda text: text),
        (MESSAGE, lambda text: "A" * 86 + "=="),
        (MESSAGE, lambda text: text[:-4]),
        (MESSAGE, lambda text: text + "\n"),
        (MESSAGE, lambda text: "不是签名"),
        (MESSAGE, lambda text: ""),
    ],
)
def test_other_bytes_and_other_signatures_do_not_verify(tmp_path: Path, message: bytes, change: object) -> None:
    key = make_key_pair(tmp_path / "worker")
    signature = change(key.sign(MESSAGE))  # type: ignore[operator]
    assert not key.public.verifies(message, signature)


def test_another_key_does_not_verify(tmp_path: Path) -> None:
    signature = make_key_pair(tmp_path / "one").sign(MESSAGE)
    assert not make_key_pair(tmp_path / "other").public.verifies(MESSAGE, signature)


def test_a_key_is_called_by_the_digest_of_its_public_half(tmp_path: Path) -> None:
    key = make_key_pair(tmp_path / "worker")
    public = serialization.load_pem_public_key(public_file(tmp_path / "worker").read_bytes())
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    assert key.id == hashlib.sha256(raw).hexdigest()[:16]
    assert key.id == read_verifying_key(public_file(tmp_path / "worker")).id


def test_only_the_owner_may_read_a_new_private_key(tmp_path: Path) -> None:
    make_key_pair(tmp_path / "worker")
    assert (tmp_path / "worker").stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in public_file(tmp_path / "worker").read_bytes()


@pytest.mark.parametrize("there", ["worker", "worker.pub"])
def test_a_key_is_never_written_over(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("older")
    with pytest.raises(SecretFileError, match=f"{there}: is there already"):
        make_key_pair(tmp_path / "worker")
    assert [each.name for each in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "older"


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_secret_that_its_owner_and_a_group_may_read_is_read(tmp_path: Path, mode: int) -> None:
    make_key_pair(tmp_path / "worker")
    (tmp_path / "worker").chmod(mode)
    assert read_signing_key(tmp_path / "worker").id


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604, 0o666])
def test_a_secret_that_more_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    make_key_pair(tmp_path / "worker")
    (tmp_path / "worker").chmod(mode)
    with pytest.raises(SecretFileError, match=rf"\(mode {mode:04o}\); expected at most 0640, try: chmod 600 "):
        read_signing_key(tmp_path / "worker")


def test_what_is_no_private_key_is_named(tmp_path: Path) -> None:
    make_key_pair(tmp_path / "worker")
    curve = ec.generate_private_key(ec.SECP256R1())
    sealed = Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"x"))
    for content, found in [
        (public_file(tmp_path / "worker").read_bytes(), "found a public key, expected an Ed25519 private key in PEM"),
        (
            curve.private_bytes(PEM, PKCS8, serialization.NoEncryption()),
            "found a key of another kind, expected an Ed25519",
        ),
        (sealed, "the key is protected by a passphrase, expected one without"),
        (b"hunter2", "found no private key, expected an Ed25519 private key in PEM"),
        (b"", "found no private key, expected"),
        (b"x" * 70_000, "found more than 65,536 bytes, expected a key or a password"),
    ]:
        path = tmp_path / "wrong"
        path.unlink(missing_ok=True)
        path.touch(0o600)
        path.write_bytes(content)
        with pytest.raises(SecretFileError) as raised:
            read_signing_key(path)
        assert found in str(raised.value)
        assert str(raised.value).startswith(f"{path}: ")
        assert "hunter2" not in str(raised.value)


def test_what_is_no_public_key_is_named(tmp_path: Path) -> None:
    make_key_pair(tmp_path / "worker")
    with pytest.raises(SecretFileError, match="found a private key, expected an Ed25519 public key"):
        read_verifying_key(tmp_path / "worker")
    with pytest.raises(SecretFileError, match=r"none: No such file or directory$"):
        read_verifying_key(tmp_path / "none")
    with pytest.raises(SecretFileError, match=r"Is a directory$"):
        read_secret(tmp_path)


def test_the_keys_of_a_directory_are_found_by_their_ids(tmp_path: Path) -> None:
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    keys = [make_key_pair(tmp_path / name) for name in ("一", "two", "three")]
    for name in ("一.pub", "two.pub"):
        shutil.copy(tmp_path / name, trusted)
    (trusted / "README").write_text("which keys, and whose")
    assert read_verifying_keys([trusted, tmp_path / "three.pub"]).keys() == {key.id for key in keys}


def test_a_directory_without_keys_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match="found no key in this directory"):
        read_verifying_keys([tmp_path])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="compares with openssl")
def test_openssl_makes_keys_for_us_and_verifies_what_we_signed(tmp_path: Path) -> None:
    def openssl(*arguments: str | Path) -> str:
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    openssl("genpkey", "-algorithm", "ed25519", "-out", "key")
    openssl("pkey", "-in", "key", "-pubout", "-out", "key.pub")
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "value").write_bytes(MESSAGE)
    key = read_signing_key(tmp_path / "key")
    assert key.id == read_verifying_key(tmp_path / "key.pub").id
    (tmp_path / "signature").write_bytes(base64.b64decode(key.sign(MESSAGE)))
    assert "Signature Verified Successfully" in openssl(
        *("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pub", "-sigfile", "signature", "-in", "value")
    )
