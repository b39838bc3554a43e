"""Rule sets that follow one another on the topic: who may make which one the current one."""

from __future__ import annotations

import msgspec
import pytest

from tests.adapters.keys import Office, office
from treasury_watch.adapters.approvals import Approvals, signed
from treasury_watch.adapters.bundles import MAX_BYTES, Bundle, encode, statement
from treasury_watch.adapters.kafka.control.versions import Rollback, RuleVersions, Version, rollback_statement

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return office(tmp_path_factory.mktemp("keys"))


def bundle(ruleset: str, content: str = "1", people: Office | None = None, **overrides: object) -> Bundle:
    made = Bundle(ruleset=ruleset, reference=A, content=content, files=b"")
    made = msgspec.structs.replace(made, **overrides)
    if people:
        both = signed(
            signed({}, statement(made), people.author, "author"), statement(made), people.approver, "approver"
        )
        made = msgspec.structs.replace(made, signatures=both)
    return made


def rollback(ruleset: str, after: int, people: Office | None = None) -> Rollback:
    made = Rollback(ruleset=ruleset, after=after)
    if people:
        said = rollback_statement(made)
        made = msgspec.structs.replace(made, signatures=signed({}, said, people.approver, "approver"))
    return made


class Topic:
    """Records as they come, numbered as Kafka does."""

    def __init__(self, approvals: Approvals | None = None) -> None:
        self.versions = RuleVersions(approvals or Approvals())
        self._next = 0

    def take(self, message: Bundle | Rollback, key: str | None = None) -> Version | str | None:
        value = encode(message) if isinstance(message, Bundle) else msgspec.json.encode(message)
        return self.bytes(value, key or message.ruleset)

    def bytes(self, value: bytes | None, key: str = A) -> Version | str | None:
        self._next += 1
        return self.versions.take(self._next - 1, key.encode(), value)

    @property
    def current(self) -> tuple[int, str, int] | None:
        found = self.versions.current
        return None if found is None else (found.offset, found.ruleset, found.held_at)


def test_the_last_bundle_is_the_current_set() -> None:
    topic = Topic()
    assert topic.current is None
    topic.take(bundle(A, "1"))
    topic.take(bundle(B, "2"))
    assert topic.current == (1, B, 1)


def test_the_current_set_published_again_changes_nothing() -> None:
    topic = Topic()
    topic.take(bundle(A, "1"))
    assert topic.take(bundle(A, "1")) is None
    assert topic.current == (0, A, 0)


def test_an_earlier_bundle_sent_again_is_refused_since_anybody_could_have_kept_it(people: Office) -> None:
    topic = Topic(people.approvals)
    topic.take(bundle(A, "1", people))
    topic.take(bundle(B, "2", people))
    assert topic.take(bundle(A, "1", people)) == (
        "published before, at offset 0; `rules rollback` makes it current again"
    )
    assert topic.current == (1, B, 1)


def test_a_rollback_makes_an_earlier_set_the_current_one_and_names_where_its_bundle_is(people: Office) -> None:
    topic = Topic(people.approvals)
    topic.take(bundle(A, "1", people))
    topic.take(bundle(B, "2", people))
    assert topic.take(rollback(A, 1, people)) == Version(2, A, 0, "rollback", (people.approver.id,))
    topic.take(rollback(B, 2, people))
    assert topic.current == (3, B, 1)


def test_a_rollback_signed_for_another_moment_is_refused(people: Office) -> None:
    topic = Topic(people.approvals)
    topic.take(bundle(A, "1", people))
    topic.take(bundle(B, "2", people))
    topic.take(rollback(A, 1, people))
    topic.take(rollback(B, 2, people))
    assert topic.take(rollback(A, 1, people)) == "another rule set was published since this was signed"


def test_a_rollback_to_what_was_never_published_is_refused() -> None:
    topic = Topic()
    topic.take(bundle(A))
    assert topic.take(rollback(B, 0)) == f"{B} was never published here"


def test_what_is_not_signed_counts_only_where_no_keys_are_configured(people: Office) -> None:
    unsigned, strict = Topic(), Topic(people.approvals)
    assert isinstance(unsigned.take(bundle(A, origin="directory")), Version)
    assert strict.take(bundle(A, origin="directory")) == "the author has not signed"
    assert strict.take(bundle(A)) == "the author has not signed"
    assert strict.take(rollback(A, 0)) == "the approver has not signed"
    assert strict.current is None


def test_a_bundle_that_was_refused_does_not_keep_the_signed_one_from_being_published(people: Office) -> None:
    topic = Topic(people.approvals)
    topic.take(bundle(A, "1"))
    assert isinstance(topic.take(bundle(A, "1", people)), Version)


def test_a_signature_of_other_content_does_not_count(people: Office) -> None:
    stolen = bundle(A, "1", people).signatures
    topic = Topic(people.approvals)
    assert topic.take(bundle(A, "2", signatures=stolen)) == "the author's signature is not of this"


@pytest.mark.parametrize("value", [None, b"", b"{}", b'{"kind":"other"}', b"\xff", b"[" * 100_000])
def test_what_is_no_message_is_refused_and_the_next_is_taken(value: bytes | None) -> None:
    topic = Topic()
    assert isinstance(topic.bytes(value), str)
    topic.take(bundle(A))
    assert topic.current == (1, A, 1)


def test_a_record_at_the_limit_is_looked_at_and_one_beyond_is_not() -> None:
    assert "neither a rule bundle nor a rollback" in str(Topic().bytes(b" " * MAX_BYTES))
    assert Topic().bytes(b" " * (MAX_BYTES + 1)) == "a record of 4,194,305 bytes: at most 4,194,304"


def test_a_record_under_another_key_is_refused() -> None:
    assert Topic().take(bundle(A), key=B) == "its key is not the hash of its rule set"


def test_a_hash_is_found_by_its_first_digits() -> None:
    topic = Topic()
    topic.take(bundle(A, "1"))
    topic.take(bundle(B, "2"))
    assert topic.versions.matching("aaaa") == topic.versions.matching("sha256:aaaa") == [A]
    assert topic.versions.matching("sha256:") == [A, B]
    assert topic.versions.matching("c") == []
