"""Faust's own command line on the worker's app: `python -m treasury_watch.adapters.kafka --help`."""

from __future__ import annotations

import asyncio

from treasury_watch.adapters.approvals import approvals_of
from treasury_watch.adapters.kafka.app import create_app
from treasury_watch.adapters.kafka.control.beginning import begin
from treasury_watch.adapters.settings import load_settings

if __name__ == "__main__":
    settings = load_settings()
    create_app(settings, asyncio.run(begin(settings, approvals_of(settings)))).main()
