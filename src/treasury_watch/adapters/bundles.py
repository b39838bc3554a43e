"""A rule set as one message (规则包): all its files, compressed, and the signatures of those who answer for it.

The file that `rules sign` writes and the value of a record on the rules topic are the same JSON. A bundle is unpacked
in memory only, and gives the rule set and the hash that its directory gave.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec

from treasury_watch.adapters.approvals import Signatures, statement_of
from treasury_watch.adapters.packing import PackingError, digest, packed, unpacked
from treasury_watch.adapters.rulefiles import PATTERNS, files_of
from treasury_watch.adapters.tables import TableText
from treasury_watch.rules import RuleErrors, read
from treasury_watch.rules.limits import SET_BYTES, SET_FILES
from treasury_watch.rules.schema import RuleSet
from treasury_watch.rules.sets import layouts_of

MAX_BYTES = 4 << 20  # of a bundle as it is sent: the default pack has less than 100 KiB
_MAX_UNPACKED = 2 * SET_BYTES.most  # JSON escapes line ends and quotes


class BundleError(ValueError):
    """A message that is no rule bundle, or a directory that fits in none: one line that says why."""


class Bundle(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="bundle"):
    """`files` is the packed canonical JSON of path → text, `content` the digest of that JSON. `origin` says whether it
    was published by a person or is what a worker found in its directory.
    """

    schema_version: Literal[1] = 1
    origin: Literal["published", "directory"] = "published"
    ruleset: str
    reference: str
    content: str
    files: bytes
    signatures: Signatures = {}


def bundle_of(directory: Path, origin: Literal["published", "directory"] = "published") -> tuple[Bundle, RuleSet]:
    """The unsigned bundle of a rule directory, and its rule set.

    Raises RuleErrors if its text is wrong, BundleError if it does not fit, OSError if it cannot be read.
    """
    files = {Path(path).relative_to(directory).as_posix(): data for path, data in files_of(directory).items()}
    ruleset = _ruleset(files)
    try:
        text = _canonical({path: data.decode() for path, data in files.items()})
    except UnicodeDecodeError as error:  # rules.lock: what says rules was read
        raise BundleError(f"{directory}: a file that is not UTF-8 text: {error.reason}") from None
    bundle = Bundle(
        origin=origin,
        ruleset=ruleset.hash,
        reference=ruleset.reference,
        content=digest(text),
        files=packed(text),
    )
    encode(bundle)
    return bundle, ruleset


def encode(bundle: Bundle) -> bytes:
    """The bundle as JSON. Raises BundleError if it is larger than a record of the rules topic may be."""
    value = msgspec.json.encode(bundle)
    if len(value) > MAX_BYTES:
        raise BundleError(f"the rule set takes {len(value):,} bytes as a message, and at most {MAX_BYTES:,} are sent")
    return value


def decode(value: bytes) -> Bundle:
    """The bundle of a message, its files not looked at yet. Raises BundleError."""
    if len(value) > MAX_BYTES:
        raise BundleError(f"a rule bundle of {len(value):,} bytes: at most {MAX_BYTES:,}")
    try:
        return msgspec.json.decode(value, type=Bundle)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"not a rule bundle: {error}") from None


def texts(bundle: Bundle) -> Mapping[str, str]:
    """Path below the rule directory → text. Raises BundleError if they are not what the bundle says, or too large."""
    try:
        text = unpacked(bundle.files, _MAX_UNPACKED)
    except PackingError as error:
        raise BundleError(f"a rule bundle whose files {error}") from None
    if digest(text) != bundle.content:
        raise BundleError("a rule bundle whose files are not those that it names")
    try:
        found = msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"a rule bundle whose files cannot be read: {error}") from None
    if len(found) > SET_FILES.most:
        raise BundleError(f"a rule bundle of {len(found):,} files: at most {SET_FILES.most:,}")
    for path in found:
        if not _belongs(path):
            raise BundleError(f"a rule bundle with a file that is none of a rule directory: {path[:200]!a}")
    return found


def ruleset_of(bundle: Bundle, tables: Mapping[str, TableText] | None = None) -> RuleSet:
    """The rule set of a bundle; with the rows of some tables replaced, by name, in another order of columns if need be.

    Raises BundleError if it is not the set that the bundle names, RuleErrors if its text is wrong with those rows, and
    TableError if they lack a column.
    """
    files = {path: text.encode() for path, text in texts(bundle).items()}
    ruleset = _ruleset(files)
    if ruleset.hash != bundle.ruleset:
        raise BundleError(f"a rule bundle that says {bundle.ruleset} and holds {ruleset.hash}")
    if not tables:
        return ruleset
    for path, layout in layouts_of(files).items():
        if layout.name in tables:
            files[path] = tables[layout.name].csv(tuple(layout.columns)).encode()
    return _ruleset(files)


def statement(bundle: Bundle) -> bytes:
    """What is signed: which rule set, and every byte of its files."""
    return statement_of("rules", ruleset=bundle.ruleset, content=bundle.content)


def _ruleset(files: Mapping[str, bytes]) -> RuleSet:
    ruleset, diagnostics = read(files)
    if ruleset is None:
        raise RuleErrors(diagnostics, files)
    return ruleset


def _belongs(path: str) -> bool:
    """Whether a rule directory can have a file of that path, which never leads out of it."""
    hidden = path.rpartition("/")[2].startswith(".")
    return not hidden and any(
        path.count("/") == each.count("/") and "\0" not in path and fnmatchcase(path, each) for each in PATTERNS
    )


def _canonical(value: Mapping[str, str]) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
