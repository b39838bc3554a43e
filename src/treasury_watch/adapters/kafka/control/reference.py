"""Tables of reference data as they followed one another on the reference topic.

A record holds a table whole, or what is different from the record before of the same table, which it names: so two
who change a table at once do not undo each other's work unseen, and an old record cannot be sent again. From the first
record of a table on its rows are those of the topic, whatever a rule set brings along.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from treasury_watch.adapters.approvals import Approvals, Signatures, statement_of
from treasury_watch.adapters.bundles import MAX_BYTES
from treasury_watch.adapters.packing import PackingError, digest, packed, unpacked
from treasury_watch.adapters.tables import TableError, TableText, no_rows, read_text
from treasury_watch.rules.limits import FILE_BYTES

NOTHING_BEFORE = -1


class TableMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="table"):
    """`put` and `retired` are packed CSV; `identity` names the columns that name a row. `after`: the offset of the
    table's record before, or -1. `result`: the digest of the table with this record.
    """

    schema_version: Literal[1] = 1
    table: str
    whole: bool
    identity: tuple[str, ...]
    put: bytes
    retired: bytes | None = None
    after: int
    result: str
    signatures: Signatures = {}


class ReferenceTables:
    """What the records of the reference topic come to, taken in order."""

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals
        self._tables: dict[str, TableText] = {}
        self._at: dict[str, int] = {}
        self.offset: int | None = None  # of the last record that counts
        self.hash: str | None = None  # of its value

    @property
    def tables(self) -> Mapping[str, TableText]:
        """The published tables by name, as they are now; later records leave this one as it is."""
        return MappingProxyType(dict(self._tables))

    def after(self, table: str) -> int:
        """The offset that a table's next record has to name."""
        return self._at.get(table, NOTHING_BEFORE)

    def take(self, offset: int, key: bytes | None, value: bytes | None) -> str | None:
        """Takes the next record; why it does not count, or `None` if it does."""
        message = decode(value)
        if isinstance(message, str):
            return message
        if key != message.table.encode():
            return "its key is not the name of its table"
        found = self.lacking(message) or self.result(message)
        if isinstance(found, str):
            return found
        self._tables[message.table], self._at[message.table] = found, offset
        self.offset, self.hash = offset, digest(value or b"")
        return None

    def lacking(self, message: TableMessage) -> str | None:
        """Why a message is not approved; `None` if it is."""
        return self._approvals.lacking(statement(message), message.signatures)

    def result(self, message: TableMessage) -> TableText | str:
        """The table as it would be if this came next, or why that would not count, signatures aside."""
        if message.after != self.after(message.table):
            return f"another record of {message.table} was published since this was made"
        try:
            table = _changed(message, self._tables.get(message.table))
        except (PackingError, TableError) as error:
            return f"a table whose rows {error}" if isinstance(error, PackingError) else str(error)
        return table if table.digest == message.result else "the table that comes out is not the one that it names"


def message_of(
    table: str, put: TableText, before: TableText | None, after: int, retired: TableText | None = None
) -> TableMessage:
    """The unsigned message of a whole table, or (where there is one `before`) of what is put and retired in it.

    Raises TableError if it does not fit, or is larger than a record may be.
    """
    result = put if before is None else before.changed(put, retired or no_rows(before.identity))
    message = TableMessage(
        table=table,
        whole=before is None,
        identity=put.identity,
        put=packed(put.csv().encode()),
        retired=None if retired is None else packed(retired.csv().encode()),
        after=after,
        result=result.digest,
    )
    encode(message)
    return message


def encode(message: TableMessage) -> bytes:
    """The message as JSON. Raises TableError if it is larger than a record may be."""
    value = msgspec.json.encode(message)
    if len(value) > MAX_BYTES:
        raise TableError(f"the table takes {len(value):,} bytes as a message, and at most {MAX_BYTES:,} are sent")
    return value


def decode(value: bytes | None) -> TableMessage | str:
    """The message of a record of the reference topic, or why it is none."""
    if value is None or len(value) > MAX_BYTES:
        return "an empty record" if value is None else f"a record of {len(value):,} bytes: at most {MAX_BYTES:,}"
    try:
        return msgspec.json.decode(value, type=TableMessage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"no reference data: {error}"


def statement(message: TableMessage) -> bytes:
    """What is signed: the table with this record, where it comes from, and behind which record."""
    return statement_of("reference", table=message.table, result=message.result, after=message.after)


def _changed(message: TableMessage, before: TableText | None) -> TableText:
    put = _rows(message.put, message)
    if message.whole:
        if message.retired is not None:
            raise TableError("a whole table retires no rows")
        return put
    if before is None:
        raise TableError(f"{message.table} was never published whole")
    retired = no_rows(put.identity) if message.retired is None else _rows(message.retired, message)
    return before.changed(put, retired)


def _rows(data: bytes, message: TableMessage) -> TableText:
    return read_text(unpacked(data, FILE_BYTES.most), message.identity, message.table)
