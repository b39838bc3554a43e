"""Violations to plant, by row of the catalogue: a new kind is one function and one line in the KINDS of its module."""

from __future__ import annotations

from treasury_watch.adapters.simulation.violations import (
    amounts,
    budgets,
    cards,
    conduct,
    payees,
    repeats,
    standards,
    texts,
)
from treasury_watch.adapters.simulation.violations.plan import Kind, Plant, Step

__all__ = ["KINDS", "Kind", "Plant", "Step"]

KINDS: tuple[Kind, ...] = tuple(
    kind for module in (amounts, cards, payees, repeats, texts, budgets, standards, conduct) for kind in module.KINDS
)
