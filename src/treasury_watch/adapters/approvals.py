"""Who may change what verdicts depend on (签发与审批): keys of authors and of approvers, and whether two have signed.

Where no keys are configured, nothing needs a signature, and whatever has one is not checked.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from treasury_watch.adapters.secretfiles import SecretFileError
from treasury_watch.adapters.settings import PREFIX, Settings
from treasury_watch.adapters.signatures import SigningKey, VerifyingKey, read_verifying_keys

Role = Literal["author", "approver"]
ROLES: tuple[Role, ...] = ("author", "approver")


class Signature(msgspec.Struct, frozen=True):
    """Ed25519 (base64) over a statement, and the id of the key that made it."""

    key: str
    signature: str


Signatures = dict[Role, Signature]


class ApprovalError(ValueError):
    """Keys that cannot be used as they are configured: one line."""


@dataclass(frozen=True, slots=True)
class Approvals:
    """The public keys of each role, by id. Without any, everything is approved."""

    keys: Mapping[Role, Mapping[str, VerifyingKey]] = field(default_factory=dict)

    @property
    def required(self) -> bool:
        return bool(self.keys)

    def lacking(self, statement: bytes, signatures: Signatures, roles: Collection[Role] = ROLES) -> str | None:
        """Why these signatures do not approve a statement; `None` if they do. Each role needs a key of its own."""
        if not self.required:
            return None
        made_by: dict[str, Role] = {}
        for role in ROLES:
            if role not in roles:
                continue
            found = signatures.get(role)
            if found is None:
                return f"the {role} has not signed"
            key = self.keys[role].get(found.key)
            if key is None:
                return f"{found.key} is no key of an {role}"
            if not key.verifies(statement, found.signature):
                return f"the {role}'s signature is not of this"
            if found.key in made_by:
                return f"author and approver are the same key, {found.key}"
            made_by[found.key] = role
        return None


def approvals_of(settings: Settings) -> Approvals:
    """The keys that the settings name. Raises ApprovalError if a file is none, or if only one role has keys."""
    paths: dict[Role, tuple[str, str | None]] = {
        "author": ("AUTHOR_KEYS", settings.author_keys),
        "approver": ("APPROVER_KEYS", settings.approver_keys),
    }
    named = {role: variable for role, (variable, value) in paths.items() if value}
    if not named:
        return Approvals()
    if len(named) < len(paths):
        names = ", ".join(f"{PREFIX}{variable}" for variable, _ in paths.values())
        raise ApprovalError(f"{names}: expected both or neither, found one")
    keys: dict[Role, Mapping[str, VerifyingKey]] = {}
    for role, (variable, value) in paths.items():
        try:
            keys[role] = read_verifying_keys(Path(each) for each in (value or "").split(",") if each)
        except SecretFileError as error:
            raise ApprovalError(f"{PREFIX}{variable}: {error}") from None
    return Approvals(keys)


def signed(signatures: Signatures, statement: bytes, key: SigningKey, role: Role) -> Signatures:
    """The signatures with that of a role, in place of one that it had."""
    return {**signatures, role: Signature(key.id, key.sign(statement))}


def statement_of(kind: str, **said: str | int | None) -> bytes:
    """What is signed, as canonical JSON; `kind` keeps a signature of one kind of thing from being one of another."""
    return json.dumps(
        {"treasury-watch": kind, **said}, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    ).encode()
