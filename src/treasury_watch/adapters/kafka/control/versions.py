"""Rule sets as they followed one another on the rules topic: which is the current one, and what is refused.

Whoever may write on the topic but has no keys must not be able to bring an old set back. So a set is published once;
that an earlier one is current again is a record of its own, which an approver signs for that moment only: it names the
record that it follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from treasury_watch.adapters.approvals import Approvals, Role, Signatures, statement_of
from treasury_watch.adapters.bundles import MAX_BYTES, Bundle, statement

ROLLBACK_ROLES: tuple[Role, ...] = ("approver",)  # the set itself has both signatures


class Rollback(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="rollback"):
    """An earlier rule set is to be the current one again. `after`: the offset of the record that made the current."""

    schema_version: Literal[1] = 1
    ruleset: str
    after: int
    signatures: Signatures = {}


@dataclass(frozen=True, slots=True)
class Version:
    """A rule set that was made the current one by the record at `offset`; `held_at` is that of its bundle."""

    offset: int
    ruleset: str
    held_at: int
    origin: Literal["published", "directory", "rollback"]
    signers: tuple[str, ...]  # ids of keys, not checked where none are configured


class RuleVersions:
    """What the records of the rules topic come to, taken in order."""

    def __init__(self, approvals: Approvals) -> None:
        self.accepted: list[Version] = []
        self._approvals = approvals
        self._held: dict[str, int] = {}  # content of each accepted bundle → its offset
        self._by_hash: dict[str, int] = {}  # hash → offset of its newest bundle

    @property
    def current(self) -> Version | None:
        return self.accepted[-1] if self.accepted else None

    def held_at(self, ruleset: str) -> int | None:
        """Where the bundle of a rule set is."""
        return self._by_hash.get(ruleset)

    def matching(self, prefix: str) -> list[str]:
        """The hashes that begin so, with or without `sha256:`."""
        return [each for each in self._by_hash if each.startswith((prefix, f"sha256:{prefix}"))]

    def take(self, offset: int, key: bytes | None, value: bytes | None) -> Version | str | None:
        """The version that a record makes the current one, why it makes none, or `None`: it is the current one."""
        message = decode(value)
        if isinstance(message, str):
            return message
        refused = self.refusal(message)
        if refused is None and key != message.ruleset.encode():
            refused = "its key is not the hash of its rule set"
        if refused is not None:
            return refused
        signers = tuple(each.key for _, each in sorted(message.signatures.items()))
        if isinstance(message, Rollback):
            version = Version(offset, message.ruleset, self._by_hash[message.ruleset], "rollback", signers)
        elif self.current is not None and self._held.get(message.content) == self.current.held_at:
            return None
        else:
            self._held[message.content] = self._by_hash[message.ruleset] = offset
            version = Version(offset, message.ruleset, offset, message.origin, signers)
        self.accepted.append(version)
        return version

    def refusal(self, message: Bundle | Rollback) -> str | None:
        """Why a message would be refused if it came next; `None` if it would not."""
        if isinstance(message, Rollback):
            lacking = self._approvals.lacking(rollback_statement(message), message.signatures, ROLLBACK_ROLES)
            if lacking is None and message.ruleset not in self._by_hash:
                return f"{message.ruleset} was never published here"
            if lacking is None and (self.current is None or self.current.offset != message.after):
                return "another rule set was published since this was signed"
            return lacking
        lacking = self._approvals.lacking(statement(message), message.signatures)
        held_at = self._held.get(message.content)
        if lacking is None and held_at is not None and self.current is not None and held_at != self.current.held_at:
            return f"published before, at offset {held_at}; `rules rollback` makes it current again"
        return lacking


def decode(value: bytes | None) -> Bundle | Rollback | str:
    """The message of a record of the rules topic, or why it is none."""
    if value is None or len(value) > MAX_BYTES:
        return "an empty record" if value is None else f"a record of {len(value):,} bytes: at most {MAX_BYTES:,}"
    try:
        return msgspec.json.decode(value, type=Bundle | Rollback)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"neither a rule bundle nor a rollback: {error}"


def rollback_statement(rollback: Rollback) -> bytes:
    """What an approver signs."""
    return statement_of("rollback", ruleset=rollback.ruleset, after=rollback.after)
