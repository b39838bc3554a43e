"""Putting rule sets and tables on their topics: whatever workers would refuse is not sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from treasury_watch.adapters.approvals import Approvals, signed
from treasury_watch.adapters.bundles import Bundle, encode, ruleset_of, texts
from treasury_watch.adapters.kafka.control import reference
from treasury_watch.adapters.kafka.control.reference import ReferenceTables, TableMessage
from treasury_watch.adapters.kafka.control.topic import records, send, there
from treasury_watch.adapters.kafka.control.versions import Rollback, RuleVersions, Version, rollback_statement
from treasury_watch.adapters.kafka.control.versions import decode as decode_rules
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.signatures import SigningKey
from treasury_watch.adapters.tables import TableText, read_text
from treasury_watch.rules.reference import Layout
from treasury_watch.rules.schema import RuleSet
from treasury_watch.rules.sets import layouts_of

Outcome = Literal["published", "current already"]


class NotPublished(Exception):
    """Why nothing was sent: one line."""


@dataclass(frozen=True, slots=True)
class Published:
    """What stands on the topic now, and at which offset."""

    outcome: Outcome
    ruleset: str
    offset: int


async def rule_versions(settings: Settings, approvals: Approvals) -> RuleVersions:
    """The rule sets that were published. Raises BrokerError."""
    await there(settings, "rules", "reference")
    versions = RuleVersions(approvals)
    async for record in records(settings, "rules"):
        versions.take(record.offset, record.key, record.value)
    return versions


async def reference_tables(settings: Settings, approvals: Approvals) -> ReferenceTables:
    """The tables that were published. Raises BrokerError."""
    await there(settings, "rules", "reference")
    tables = ReferenceTables(approvals)
    async for record in records(settings, "reference"):
        tables.take(record.offset, record.key, record.value)
    return tables


async def bundle_at(settings: Settings, version: Version) -> Bundle:
    """The bundle of a version. Raises BrokerError and NotPublished."""
    async for record in records(settings, "rules", first=version.held_at):
        found = decode_rules(record.value)
        if isinstance(found, Bundle):
            return found
        break
    raise NotPublished(f"the bundle of {version.ruleset} is not on the topic any more")


async def publish_rules(settings: Settings, approvals: Approvals, bundle: Bundle) -> Published:
    """Publishes a bundle; returns where, once all in-sync replicas have it.

    Raises NotPublished, BrokerError, and what `ruleset_of` raises when it does not go with the published tables.
    """
    versions = await rule_versions(settings, approvals)
    refused = versions.refusal(bundle)
    if refused is not None:
        raise NotPublished(refused)
    current = versions.current
    if current is not None:
        held = await bundle_at(settings, current)
        if held.content == bundle.content:
            return Published("current already", bundle.ruleset, current.offset)
        _same_partition_key(ruleset_of(bundle), ruleset_of(held))
    tables = await reference_tables(settings, approvals)
    ruleset_of(bundle, tables.tables)
    offset = await send(settings, "rules", bundle.ruleset.encode(), encode(bundle))
    return Published("published", bundle.ruleset, offset)


def _same_partition_key(new: RuleSet, old: RuleSet) -> None:
    if new.partition_by != old.partition_by:
        raise NotPublished(f"partition_by is {new.partition_by}, and payments are keyed by {old.partition_by}")


async def roll_back(settings: Settings, approvals: Approvals, prefix: str, key: SigningKey | None) -> Published:
    """Makes an earlier rule set the current one, by its hash or how that begins; signed with an approver's key.

    Raises NotPublished and BrokerError.
    """
    versions = await rule_versions(settings, approvals)
    found = versions.matching(prefix)
    if len(found) != 1 or versions.current is None:
        which = f"{len(found)} published rule sets begin" if found else "no published rule set begins"
        raise NotPublished(f"{which} with {prefix}")
    if versions.current.ruleset == found[0]:
        return Published("current already", found[0], versions.current.offset)
    rollback = Rollback(ruleset=found[0], after=versions.current.offset)
    if key is not None:
        signatures = signed({}, rollback_statement(rollback), key, "approver")
        rollback = msgspec.structs.replace(rollback, signatures=signatures)
    refused = versions.refusal(rollback)
    if refused is not None:
        raise NotPublished(refused)
    offset = await send(settings, "rules", rollback.ruleset.encode(), msgspec.json.encode(rollback))
    return Published("published", rollback.ruleset, offset)


async def table_message(
    settings: Settings, approvals: Approvals, table: str, put: bytes, retired: bytes | None, *, changes: bool
) -> TableMessage:
    """The unsigned message that would put a table, or changes of it, behind what is on the topic now.

    Raises NotPublished, TableError and BrokerError, and what `ruleset_of` raises when the current rules cannot be read
    with it.
    """
    tables = await reference_tables(settings, approvals)
    layout = await _layout(settings, approvals, table)
    before = tables.tables.get(table)
    if changes and before is None:
        raise NotPublished(f"{table} was never published whole, so there is nothing to change: publish it whole first")
    message = reference.message_of(
        table,
        read_text(put, layout.identity, table),
        before if changes else None,
        tables.after(table),
        None if retired is None else read_text(retired, layout.identity, f"{table}, retired"),
    )
    await check_table(settings, approvals, message)
    return message


async def check_table(settings: Settings, approvals: Approvals, message: TableMessage) -> TableText:
    """The table as it will be. Raises NotPublished and the like if workers would not take it, signatures aside."""
    tables = await reference_tables(settings, Approvals())
    result = tables.result(message)
    if isinstance(result, str):
        raise NotPublished(result)
    versions = await rule_versions(settings, approvals)
    if versions.current is not None:
        ruleset_of(await bundle_at(settings, versions.current), {**tables.tables, message.table: result})
    return result


async def publish_table(settings: Settings, approvals: Approvals, message: TableMessage) -> int:
    """Publishes a table; returns the record's offset, once all in-sync replicas have it.

    Raises NotPublished, TableError and BrokerError.
    """
    tables = await reference_tables(settings, approvals)
    result = tables.result(message)
    if isinstance(result, str):
        raise NotPublished(result)
    await check_table(settings, approvals, message)
    return await send(settings, "reference", message.table.encode(), reference.encode(message))


async def _layout(settings: Settings, approvals: Approvals, table: str) -> Layout:
    versions = await rule_versions(settings, approvals)
    if versions.current is None:
        raise NotPublished("no rule set was published, so nobody knows how the table is declared: rules publish")
    files = {path: text.encode() for path, text in texts(await bundle_at(settings, versions.current)).items()}
    layouts = {each.name: each for each in layouts_of(files).values()}
    if table not in layouts:
        raise NotPublished(f"the rules declare no table {table}; their tables are {', '.join(sorted(layouts))}")
    return layouts[table]
