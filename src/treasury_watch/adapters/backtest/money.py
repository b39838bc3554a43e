"""Money held (拦截金额): what the payments that a verdict or a rule holds come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Held:
    """Payments and their sums in fen of CNY. Refunds and corrections, which are negative, are not set off: they have
    a number and a sum of their own.
    """

    payments: int = 0  # all of them
    fen: int = 0  # of the amounts above zero
    refunds: int = 0  # those below zero
    refund_fen: int = 0
    unconverted: int = 0  # in a currency without a rate on their day: in no sum

    def add(self, fen: int | None) -> None:
        self.payments += 1
        if fen is None:
            self.unconverted += 1
        elif fen < 0:
            self.refunds += 1
            self.refund_fen += fen
        else:
            self.fen += fen

    def as_json(self) -> dict[str, Any]:
        return {
            "payments": self.payments,
            "amount": yuan(self.fen),
            "refunds": self.refunds,
            "refund_amount": yuan(self.refund_fen),
            "unconverted": self.unconverted,
        }


def yuan(fen: int) -> str:
    """An amount in fen as text with two places, exact."""
    whole, rest = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole}.{rest:02}"
