"""Where the database is: from the environment or a file, and never told."""

from __future__ import annotations

from pathlib import Path

import pytest

from treasury_watch.adapters.cases.database import DatabaseError, parameters
from treasury_watch.adapters.settings import SettingsError, load_settings

URL = "postgresql://writer:geheim@db.example:5433/cases?sslmode=require"


def test_the_address_says_all_and_our_defaults_only_what_it_does_not() -> None:
    found = parameters(load_settings(database_url=URL + "&connect_timeout=60"))
    assert (found["host"], found["port"], found["password"], found["sslmode"]) == (
        "db.example",
        "5433",
        "geheim",
        "require",
    )
    assert (found["connect_timeout"], found["application_name"]) == ("60", "treasury-watch")


def test_the_address_may_be_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text(URL + "\n")
    secret.chmod(0o600)
    assert parameters(load_settings(database_url_file=secret))["password"] == "geheim"


def test_a_file_that_everyone_may_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text(URL)
    secret.chmod(0o644)
    with pytest.raises(DatabaseError, match="everyone may use it"):
        parameters(load_settings(database_url_file=secret))


def test_both_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL, TREASURY_WATCH_DATABASE_URL_FILE: expected one of them"):
        load_settings(database_url=URL, database_url_file=tmp_path / "url")


@pytest.mark.parametrize("url", ["", "postgresql://writer:geheim@[db/cases", "geheim"])
def test_an_address_that_is_none_is_one_line_without_it(url: str) -> None:
    with pytest.raises(DatabaseError) as raised:
        parameters(load_settings(database_url=url))
    assert "TREASURY_WATCH_DATABASE_URL" in str(raised.value)
    assert "geheim" not in str(raised.value)


def test_the_password_is_in_no_text_of_the_settings() -> None:
    settings = load_settings(database_url=URL)
    assert "geheim" not in f"{settings} {settings!r}"
    assert settings.database() == URL
