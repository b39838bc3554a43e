"""All dashboards as files."""

from __future__ import annotations

import json
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.generator.cases import CASES_BOARD
from grafana.generator.engine import ENGINE
from grafana.generator.frame import Addresses, Dashboard, build
from grafana.generator.overview import OVERVIEW
from grafana.generator.rules import RULES
from grafana.generator.texts import LANGUAGES

DASHBOARDS: Final[tuple[Dashboard, ...]] = (OVERVIEW, CASES_BOARD, RULES, ENGINE)


def written(addresses: Addresses) -> dict[str, str]:
    """Path below the folder of dashboards → JSON."""
    return {
        f"{language}/{made.uid}.json": JSONEncoder(ensure_ascii=False, indent=1).encode(
            json.loads(JSONEncoder().encode(build(made, DASHBOARDS, language, addresses)))
        )
        + "\n"
        for made in DASHBOARDS
        for language in LANGUAGES
    }
