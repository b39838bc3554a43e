"""Files of JSON lines, whatever their ends, sizes and wrapping."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pytest

from treasury_watch.adapters.jsonl import Lines, UnreadableFile
from treasury_watch.adapters.wire import MAX_BYTES, decode
from treasury_watch.domain.verdict import Refusal


def lines(path: Path) -> list[tuple[int, bytes]]:
    with Lines(path) as found:
        return [tuple(line) for line in found]


def test_lines_are_numbered_as_an_editor_does_and_blank_ones_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a":1}\r\n\n  \n{"b":2}\n{"c":3}')
    assert lines(path) == [(1, b'{"a":1}'), (4, b'{"b":2}'), (5, b'{"c":3}')]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert lines(tmp_path / "a") == []


def test_a_gzipped_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "named-otherwise.jsonl"
    path.write_bytes(gzip.compress('{"用途":1}\n{}\n'.encode()))
    with Lines(path) as found:
        assert [line.number for line in found] == [1, 2]
        assert found.position == found.size == path.stat().st_size


def test_standard_input_is_read_and_has_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}\n[]\n")))
    with Lines(Path("-")) as found:
        assert [line.value for line in found] == [b"{}", b"[]"]
        assert (found.size, found.position) == (None, 0)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_the_longest_message_is_kept_whole_and_a_longer_line_is_only_seen_to_be_too_long(
    tmp_path: Path, end: bytes
) -> None:
    path = tmp_path / "a.jsonl"
    for size in (MAX_BYTES, MAX_BYTES + 1, MAX_BYTES + 2, MAX_BYTES + 3, 5 * MAX_BYTES):
        path.write_bytes(b"x" * size + end + (b"next" if end else b""))
        first, *rest = lines(path)
        assert rest == ([(2, b"next")] if end else [])
        outcome = decode(first[1])
        assert isinstance(outcome, Refusal)
        assert outcome.reason == ("malformed_json" if size == MAX_BYTES else "too_large")
        assert len(first[1]) < MAX_BYTES + 4


@pytest.mark.parametrize("kind", ["missing", "directory", "truncated", "damaged"])
def test_a_file_that_cannot_be_read_is_named_in_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jsonl"
    whole = gzip.compress(b"".join(b'{"n":%d}\n' % number for number in range(9_000)))
    if kind == "directory":
        path.mkdir()
    elif kind == "truncated":
        path.write_bytes(whole[:-20])
    elif kind == "damaged":
        path.write_bytes(whole[:4000] + b"\x00" * 40 + whole[4040:])
    with pytest.raises(UnreadableFile, match=r"^[^\n]*a\.jsonl[^\n]*$"):
        lines(path)
