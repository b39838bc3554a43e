"""Templates of the pages of HTML: strict about what is missing, and everything escaped."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

_REPORT = Path(__file__).parent


@cache
def template(name: str, **filters: Callable[..., Any]) -> Template:
    """The template of that name, of this package or beside it, with these filters."""
    environment = Environment(
        loader=FileSystemLoader([_REPORT.parent, _REPORT]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(name)
