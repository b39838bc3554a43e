"""The page as the browser gets it: one document without a single address, under a policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

LANGUAGES: Final = {"zh": "zh-CN", "en": "en"}  # as `?lang=` says it, and as HTML does
_FOLDER: Final = Path(__file__).parent
_SAFE: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@cache
def page(language: str) -> tuple[str, Mapping[str, str]]:
    """The document that opens in a language of LANGUAGES, and its headers."""
    style, script = _text("page.css"), _text("page.js")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    document = _text("page.html").replace("{language}", LANGUAGES[language])
    return document.replace("{style}", style).replace("{script}", script), _SAFE | {"Content-Security-Policy": policy}


def data_headers() -> Mapping[str, str]:
    """The headers of the figures that the page asks for."""
    return _SAFE


def language_of(asked: str | None, accepted: str) -> str:
    """The language of `?lang=`, or else the first of `Accept-Language` that there is; Chinese without either."""
    if asked in LANGUAGES:
        return asked
    wanted = []
    for place, part in enumerate(accepted.split(",")):
        name, _, parameters = part.partition(";")
        try:
            weight = float(parameters.strip().removeprefix("q=") or "1")
        except ValueError:
            continue
        language = name.strip().lower().partition("-")[0]
        if language in LANGUAGES and weight > 0:
            wanted.append((-weight, place, language))
    return min(wanted)[2] if wanted else "zh"


def own_name(host: str, web_host: str) -> bool:
    """Whether a request's `Host` is a name under which nobody else can answer: an address, a name without a dot, or the
    one the worker listens on. A foreign site whose name is made to lead here (DNS rebinding) has another.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == web_host or (name and "." not in name and ":" not in name):
            return True
        ip_address(name)
    except ValueError:
        return False
    return True


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
