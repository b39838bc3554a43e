"""Signatures of verdicts: what the worker adds to decisions and cases, and how whoever reads them verifies it.

A signature covers the exact bytes of a record's value. It and the id of its key are in the record's headers, so that a
reader that does not care sees no difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

from treasury_watch.adapters.signatures import SigningKey, VerifyingKey, read_signing_key

SIGNATURE: Final = "signature"
SIGNING_KEY: Final = "signing_key"
SIGNED_TOPICS: Final = ("decisions", "intercepts", "warnings")

Finding = Literal["verified", "unsigned", "unknown_key", "wrong_signature"]
FINDINGS: Final[tuple[Finding, ...]] = get_args(Finding)

Header = tuple[str, bytes]
Output = tuple[bytes | None, bytes | None, list[Header]]  # key, value, headers


def signing_key(path: Path | None) -> SigningKey | None:
    """The key of a file, read once in the life of the process; none for no file. Raises SecretFileError."""
    return None if path is None else _read_once(path)


@cache
def _read_once(path: Path) -> SigningKey:
    return read_signing_key(path)


def signed(outputs: dict[str, list[Output]], key: SigningKey | None) -> dict[str, list[Output]]:
    """The records by topic of the contract, those that tell a verdict with their signatures; without a key as given."""
    if key is None:
        return outputs
    who = (SIGNING_KEY, key.id.encode())
    return {
        name: [
            (record_key, value, [*headers, (SIGNATURE, key.sign(value or b"").encode()), who])
            for record_key, value, headers in messages
        ]
        if name in SIGNED_TOPICS
        else messages
        for name, messages in outputs.items()
    }


def verify(value: bytes, headers: Sequence[Header], keys: Mapping[str, VerifyingKey]) -> tuple[Finding, str | None]:
    """What the signature of a record's value is worth, and the id of the key that it names."""
    found = {name: text.decode("ascii", errors="replace") for name, text in headers}
    signature, key_id = found.get(SIGNATURE), found.get(SIGNING_KEY)
    if signature is None:
        return "unsigned", None
    key = keys.get(key_id or "")
    if key is None:
        return "unknown_key", key_id
    return ("verified" if key.verifies(value, signature) else "wrong_signature"), key_id
