"""Faust's own command line on the worker's app: `python -m treasury_watch.adapters.kafka --help`."""

from __future__ import annotations

from treasury_watch.adapters.kafka.app import create_app
from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.adapters.settings import load_settings

if __name__ == "__main__":
    settings = load_settings()
    create_app(settings, load(settings.rules_dir or default_rules())).main()
