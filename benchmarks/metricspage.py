"""What a worker says of itself on its metrics page."""

from __future__ import annotations

import re
import urllib.request
from collections import defaultdict

from treasury_watch.adapters.settings import Settings

_SAMPLE = re.compile(r"^(treasury_watch_\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


def metrics_of(settings: Settings) -> dict[str, float]:
    """The worker's metrics by name, those of all labels added up. Raises OSError if it is not up."""
    url = f"http://{settings.web_host}:{settings.web_port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as response:
        text = response.read().decode()
    found: defaultdict[str, float] = defaultdict(float)
    for name, value in _SAMPLE.findall(text):
        found[name] += float(value)
    return found
