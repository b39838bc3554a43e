"""Texts made small for a message, and back: what comes from elsewhere is unpacked within limits."""

from __future__ import annotations

import hashlib
import zlib

_LEVEL = 9  # packed once, sent to every worker and kept for ever


class PackingError(ValueError):
    """Why bytes are no packed text, to stand behind "which" or "whose files"."""


def packed(data: bytes) -> bytes:
    """The bytes, compressed with zlib."""
    return zlib.compress(data, _LEVEL)


def unpacked(data: bytes, most: int) -> bytes:
    """The bytes that `packed` was given, if they are no more than `most`. Raises PackingError."""
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(data, most)
        if unpacking.unconsumed_tail or (not unpacking.eof and unpacking.decompress(b"", 1)):
            raise PackingError(f"unpack to more than {most:,} bytes")
    except zlib.error as error:
        raise PackingError(f"do not unpack: {error}") from None
    if not unpacking.eof:
        raise PackingError("are cut off")
    if unpacking.unused_data:
        raise PackingError("have something behind them")
    return found


def digest(data: bytes) -> str:
    """ "sha256:…" of these bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
