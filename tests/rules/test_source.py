"""YAML text as positioned nodes."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from treasury_watch.adapters.rulefiles import default_rules, files_of
from treasury_watch.rules import source
from treasury_watch.rules.diagnostics import lines_of
from treasury_watch.rules.source import MAX_BYTES, MappingNode, Node, Report, ScalarNode, SequenceNode, compose

PACK = {path: data for path, data in files_of(default_rules()).items() if path.endswith(".yaml")}


def composed(text: str | bytes) -> tuple[Node | None, list[str]]:
    report = Report()
    node = compose("f.yaml", text.encode() if isinstance(text, str) else text, report)
    return node, [each.code for each in report.diagnostics]


def scalars_in(node: Node) -> list[ScalarNode]:
    match node:
        case ScalarNode():
            return [node]
        case SequenceNode(items):
            return [each for item in items for each in scalars_in(item)]
        case MappingNode(entries):
            return [each for key, value in entries for each in (key, *scalars_in(value))]


def test_scalars_keep_their_source_text_and_place() -> None:
    root, _ = composed('金额: 500000.00\nflow: {时间: 16:30, quoted: "no"}\n')
    assert root is not None
    places = [(each.text, each.plain, each.span.line, each.span.column, each.span.length) for each in scalars_in(root)]
    assert places == [
        ("金额", True, 1, 1, 2),
        ("500000.00", True, 1, 5, 9),
        ("flow", True, 2, 1, 4),
        ("时间", True, 2, 8, 2),
        ("16:30", True, 2, 12, 5),
        ("quoted", True, 2, 19, 6),
        ("no", False, 2, 27, 4),
    ]


@pytest.mark.parametrize("path", PACK)
def test_the_parser_without_libyaml_gives_the_same_nodes(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_libyaml, _ = composed(PACK[path])
    monkeypatch.setattr(source, "_LOADER", yaml.SafeLoader)
    without, _ = composed(PACK[path])
    assert with_libyaml == without


def test_a_byte_order_mark_is_tolerated_and_counts_for_nothing() -> None:
    root, codes = composed(b"\xef\xbb\xbfa: b\n")
    assert codes == []
    assert root is not None
    assert (root.span.line, root.span.column) == (1, 1)


def test_windows_line_ends_count_as_one() -> None:
    root, _ = composed("a: b\r\nc: d\r\n")
    assert root is not None
    assert [each.span.line for each in scalars_in(root)] == [1, 1, 2, 2]


@pytest.mark.parametrize(("size", "codes"), [(MAX_BYTES, []), (MAX_BYTES + 1, ["TW002"])])
def test_a_file_is_at_most_4_mib(size: int, codes: list[str]) -> None:
    head = b"a: b\n"
    assert composed(head + b"#" * (size - len(head)))[1] == codes


@pytest.mark.parametrize(("depth", "codes"), [(31, []), (32, ["TW004"]), (100_000, ["TW004"])])
def test_nesting_ends_at_32(depth: int, codes: list[str]) -> None:
    assert composed("[" * depth + "x" + "]" * depth)[1] == codes


@pytest.mark.parametrize("character", ["\u200b", "\u202e", "\ufeff", "\x85", "\u2028", "\0", "\x1b", "\x7f", "\uffff"])
def test_what_cannot_be_seen_is_refused_where_it_stands(character: str) -> None:
    report = Report()
    assert compose("f.yaml", f"a: b\n大{character}: c".encode(), report) is None
    assert [(each.code, each.span.line, each.span.column) for each in report.diagnostics] == [("TW008", 2, 2)]


def test_a_tab_is_refused_in_indentation_only() -> None:
    assert composed("a:\n \tb: c\n")[1] == ["TW008"]
    assert composed('a: "b\tc"\n')[1] == []


def test_a_key_that_stands_twice_is_pointed_at_and_its_first_value_kept() -> None:
    report = Report()
    root = compose("f.yaml", b"a: 1\nb: 2\na: 3\n", report)
    assert [(each.code, each.span.line) for each in report.diagnostics] == [("TW006", 3)]
    assert isinstance(root, MappingNode)
    assert [(key.text, value.text) for key, value in root.entries if isinstance(value, ScalarNode)] == [
        ("a", "1"),
        ("b", "2"),
    ]


def test_nothing_but_comments_is_no_node_and_no_error() -> None:
    assert composed("# to come\n") == (None, [])


@pytest.mark.parametrize(
    "text", ["a: &x b", "a: *x", "<<: *x", "a: !!str b", "!local a: b", "a: &x [b]", "a: !!map {b: c}"]
)
def test_anchors_aliases_and_tags_are_refused(text: str) -> None:
    assert composed(text) == (None, ["TW005"])


def test_one_document_in_a_file() -> None:
    assert composed("---\na: b\n")[1] == []
    assert composed("a: b\n---\nc: d\n") == (None, ["TW003"])


def test_a_syntax_error_at_the_end_points_into_the_last_line() -> None:
    report = Report()
    compose("f.yaml", b"a: [b,\n", report)
    assert [(each.code, each.span.line, each.span.column) for each in report.diagnostics] == [("TW003", 1, 7)]


@given(st.text(alphabet=st.sampled_from("ab:-[]{}\"'#&*!|>%@`,? \n\t\r\\0·：大\u200b\x85"), max_size=60))
def test_any_text_is_nodes_or_one_explanation_inside_the_file(text: str) -> None:
    report = Report()
    node = compose("f.yaml", text.encode(), report)
    lines = lines_of(text.encode())
    for each in report.diagnostics:
        assert 1 <= each.span.line <= len(lines)
        assert 1 <= each.span.column <= len(lines[each.span.line - 1]) + 1
    if node is not None:
        for scalar in scalars_in(node):
            assert 1 <= scalar.span.column <= len(lines[scalar.span.line - 1]) + 1


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_explained(data: bytes) -> None:
    compose("f.yaml", data, Report())
