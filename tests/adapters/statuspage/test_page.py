"""The page stands alone, allows nothing but itself, and answers under its own names only."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from treasury_watch.adapters.statuspage.page import LANGUAGES, data_headers, language_of, own_name, page


def only(tag: str, document: str) -> str:
    (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", document, flags=re.DOTALL)
    return str(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_names_no_address_and_its_policy_allows_its_own_script_and_style_alone(language: str) -> None:
    document, headers = page(language)
    assert f'<html lang="{LANGUAGES[language]}">' in document
    assert not re.findall(r"https?:|//[a-z]|url\(|@import|\bsrc=|\bhref=|\bon[a-z]+=|\bstyle=", document)
    policy = headers["Content-Security-Policy"]
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(only(tag, document).encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == data_headers()["Cache-Control"] == "no-store"


def test_nothing_is_ever_put_in_as_markup() -> None:
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", only("script", page("zh")[0]))


def test_every_chinese_text_has_an_english_one_beside_it() -> None:
    document = page("zh")[0]
    assert document.count('<span class="z"') == document.count('<span class="e"') > 20


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        (None, "", "zh"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "en-GB,en;q=0.9,zh;q=0.8", "en"),
        (None, "fr,zh;q=0.1,en;q=0.2", "en"),
        (None, "en;q=0", "zh"),
        (None, "en;q=x, zh", "zh"),
        (None, "fr", "zh"),
        ("en", "zh-CN", "en"),
        ("fr", "en", "en"),
    ],
)
def test_the_language_is_that_of_the_address_or_else_of_the_browser(
    asked: str | None, accepted: str, language: str
) -> None:
    assert language_of(asked, accepted) == language


@pytest.mark.parametrize("host", ["127.0.0.1:6066", "[::1]:6066", "localhost:6066", "worker", "w.treasury.test:80"])
def test_a_name_of_the_worker_is_answered(host: str) -> None:
    assert own_name(host, "w.treasury.test")


@pytest.mark.parametrize("host", ["", "evil.example", "evil.example:6066", "127.0.0.1.evil.example", "[x", "a.b:c"])
def test_a_name_that_a_foreign_site_may_have_is_not(host: str) -> None:
    assert not own_name(host, "127.0.0.1")
