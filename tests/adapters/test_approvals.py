"""Two people, two keys: what is approved, and why something is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.keys import Office, office
from treasury_watch.adapters.approvals import (
    ApprovalError,
    Approvals,
    Role,
    Signatures,
    approvals_of,
    signed,
    statement_of,
)
from treasury_watch.adapters.settings import load_settings
from treasury_watch.adapters.signatures import SigningKey, public_file

SAID = statement_of("rules", ruleset="sha256:1", content="sha256:2")


@pytest.fixture
def people(tmp_path: Path) -> Office:
    return office(tmp_path)


def by(statement: bytes = SAID, **keys: SigningKey) -> Signatures:
    found: Signatures = {}
    roles: tuple[Role, ...] = ("author", "approver")
    for role in roles:
        if role in keys:
            found = signed(found, statement, keys[role], role)
    return found


def test_an_author_and_an_approver_together_approve(people: Office) -> None:
    assert people.approvals.required
    assert people.approvals.lacking(SAID, by(author=people.author, approver=people.approver)) is None


def test_one_of_them_does_not(people: Office) -> None:
    assert people.approvals.lacking(SAID, {}) == "the author has not signed"
    assert people.approvals.lacking(SAID, by(author=people.author)) == "the approver has not signed"


def test_a_key_of_the_other_role_or_of_nobody_does_not_count(people: Office) -> None:
    for key in (people.author, people.stranger):
        lacking = people.approvals.lacking(SAID, by(author=people.author, approver=key))
        assert lacking == f"{key.id} is no key of an approver"


def test_one_person_who_may_do_both_cannot_do_both(people: Office) -> None:
    both = {people.author.id: people.author.public, people.approver.id: people.approver.public}
    approvals = Approvals({"author": both, "approver": both})
    alone = by(author=people.author, approver=people.author)
    assert approvals.lacking(SAID, alone) == f"author and approver are the same key, {people.author.id}"
    assert approvals.lacking(SAID, by(author=people.approver, approver=people.author)) is None


def test_a_signature_of_something_else_is_none(people: Office) -> None:
    other = statement_of("reference", ruleset="sha256:1", content="sha256:2")
    lacking = people.approvals.lacking(SAID, by(other, author=people.author, approver=people.approver))
    assert lacking == "the author's signature is not of this"


def test_where_only_an_approver_is_asked_the_author_need_not_sign(people: Office) -> None:
    assert people.approvals.lacking(SAID, by(approver=people.approver), ("approver",)) is None
    assert people.approvals.lacking(SAID, by(author=people.author), ("approver",)) == "the approver has not signed"


def test_without_keys_everything_is_approved() -> None:
    assert not approvals_of(load_settings()).required
    assert Approvals().lacking(SAID, {}) is None


def test_keys_are_files_or_directories_separated_by_commas(people: Office) -> None:
    settings = load_settings(
        author_keys=str(people.folder),
        approver_keys=f"{public_file(people.folder / 'approver')},{public_file(people.folder / 'stranger')}",
    )
    keys = approvals_of(settings).keys
    assert set(keys["author"]) == {people.author.id, people.approver.id, people.stranger.id}
    assert set(keys["approver"]) == {people.approver.id, people.stranger.id}


def test_keys_of_one_role_alone_are_a_mistake(people: Office) -> None:
    with pytest.raises(ApprovalError, match=r"AUTHOR_KEYS, TREASURY_WATCH_APPROVER_KEYS: expected both or neither"):
        approvals_of(load_settings(author_keys=str(people.folder)))


def test_a_file_that_is_no_public_key_is_named(people: Office) -> None:
    settings = load_settings(author_keys=str(people.folder / "author"), approver_keys=str(people.folder))
    with pytest.raises(ApprovalError, match=r"^TREASURY_WATCH_AUTHOR_KEYS: .*author: found a private key"):
        approvals_of(settings)
