"""The table of rights: what the guide shows of it, what is never in it, and what covers what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.test_cli import Runner
from treasury_watch.adapters.acls import ROLES, TOPIC_RIGHTS, principals, rights, sink_group, transactional_prefix
from treasury_watch.adapters.cases.rows import Reading
from treasury_watch.adapters.kafka.acls import Entry, _unexpected, entries
from treasury_watch.adapters.kafka.fencing import OUTPUTS, transactional_id
from treasury_watch.adapters.kafka.topics import TOPICS
from treasury_watch.adapters.settings import load_settings


def pages() -> Iterator[str]:
    """The tables of docs/security.md, line by line, for the default settings."""
    yield f"| topic | {' | '.join(ROLES)} |"
    yield "|" + "---|" * (len(ROLES) + 1)
    for topic in TOPICS:
        cells = (", ".join(TOPIC_RIGHTS[role].get(topic, ())) for role in ROLES)
        yield f"| `treasury.{topic}` | {' | '.join(cells)} |"
    yield ""
    yield "| other | name | who may what |"
    yield "|---|---|---|"
    other: defaultdict[tuple[str, str], defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for right in rights("treasury.", "treasury-watch"):
        if right.resource != "topic":
            name = right.name + ("…" if right.prefixed else "")
            other[right.resource, name][", ".join(right.operations)].append(right.role)
    for (resource, name), by_operations in other.items():
        told = "; ".join(f"{', '.join(roles)}: {operations}" for operations, roles in by_operations.items())
        yield f"| {resource} | `{name}` | {told} |"


def test_the_guide_shows_the_table_as_it_is() -> None:
    guide = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    shown = guide.partition("<!-- made by tests/adapters/test_acls.py -->\n")[2].partition("<!-- end -->")[0]
    assert shown == "".join(f"{line}\n" for line in pages())


def test_every_topic_is_somebodys() -> None:
    for operation in ("read", "write", "create"):
        granted = {name for of_role in TOPIC_RIGHTS.values() for name, may in of_role.items() if operation in may}
        assert granted == TOPICS.keys()


def test_no_topic_has_two_kinds_of_writers() -> None:
    for topic in TOPICS:
        writers = [role for role in ROLES if "write" in TOPIC_RIGHTS[role].get(topic, ())]
        assert len(writers) == 1, topic


def test_only_workers_write_what_a_takeover_shuts_predecessors_out_of() -> None:
    written = {name for name, may in TOPIC_RIGHTS["worker"].items() if "write" in may}
    assert written == set(OUTPUTS)


def test_workers_may_use_the_ids_under_which_they_take_over() -> None:
    settings = load_settings(group="市级".encode().hex(), topic_prefix="")
    assert transactional_id(settings, 3).startswith(transactional_prefix(settings.topic_prefix, settings.group))


def test_a_sink_may_read_what_it_writes_to_the_database_and_nothing_else() -> None:
    settings = load_settings(group="tw", topic_prefix="city.")
    granted = {(right.resource, right.name, right.prefixed) for right in rights("city.", "tw") if right.role == "sink"}
    assert granted == {
        *(("topic", topic, False) for topic in Reading(settings).topics),
        ("group", sink_group(settings.group), False),
    }
    assert {right.operations for right in rights("city.", "tw") if right.role == "sink"} == {("read",)}


def test_prefix_group_and_principals_go_into_the_entries() -> None:
    settings = load_settings(group="tw", topic_prefix="city.")
    found = entries(settings, principals({"worker": ["User:CN=tw-worker,O=市财政局"]}))
    assert Entry("User:CN=tw-worker,O=市财政局", "topic", "city.state", False, "delete") in found
    assert Entry("User:console", "topic", "city.dispositions", False, "write") in found
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("entry", "is_told"),
    [
        (Entry("User:eve", "topic", "treasury.decisions", False, "write"), True),
        (Entry("User:eve", "topic", "treasury.", True, "read"), True),
        (Entry("User:eve", "topic", "*", False, "describe"), True),
        (Entry("User:worker", "topic", "treasury.payments", False, "write"), True),
        (Entry("User:eve", "transactional-id", "treasury-watch-", True, "write"), True),
        (Entry("User:worker", "topic", "treasury.payments", False, "read"), False),
        (Entry("User:eve", "topic", "treasury.decisions2", False, "write"), False),
        (Entry("User:eve", "topic", "treasury.decisions2", True, "write"), False),
        (Entry("User:eve", "topic", "treasury", False, "write"), False),
        (Entry("User:eve", "group", "treasury.decisions", False, "read"), False),
    ],
)
def test_whoever_may_do_more_with_what_is_ours_is_told(entry: Entry, is_told: bool) -> None:
    wanted = entries(load_settings(), principals({}))
    assert _unexpected([*wanted, entry], wanted) == ([entry] if is_told else [])


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(capsys)


def test_the_list_names_who_has_a_role(cli: Runner) -> None:
    status, out, err = cli("acls", "list", "--principal", "console=User:CN=a", "--principal", "console=User:CN=b")
    assert (status, err) == (0, "")
    for name in ("User:CN=a", "User:CN=b"):
        assert f"{name:<20}  topic             treasury.dispositions               read, write\n" in out
    assert "User:console" not in out


@pytest.mark.parametrize("wrong", ["worker", "worker=", "worker=tw", "worker=User:", "clerk=User:tw", "=User:tw"])
def test_a_principal_that_is_none_is_named(cli: Runner, wrong: str) -> None:
    status, out, err = cli("acls", "list", "--principal", wrong)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: --principal {wrong}: expected ROLE=PRINCIPAL, such as worker=User:tw-worker; ")
