"""Ordinary payments: what a treasury without violations sends all day."""

from __future__ import annotations

from collections import deque
from datetime import date, timedelta

from treasury_watch.adapters.simulation.city import Unit, person
from treasury_watch.adapters.simulation.items import PETTY_CASH, SALARY, SUPPORT, TO_A_UNIT
from treasury_watch.adapters.simulation.names import mixed
from treasury_watch.adapters.simulation.payments import Draft, Payments, is_spare, yuan
from treasury_watch.adapters.simulation.workdays import is_working

RECENT = 300  # payments that a refund or correction may still concern
PAYROLL_PART = 4  # at most one instruction in so many is a salary line
CARD_ROOM = 45  # percent of a card's limit that is repaid in three calendar days; 72 hours touch two such spans


class Traffic:
    """The ordinary payments of a city, day by day."""

    def __init__(self, payments: Payments) -> None:
        self.payments = payments
        self.chance = payments.chance
        self._repaid: dict[str, int] = {}  # fen by card in the current three days
        self._withdrew: set[int] = set()  # units that have had cash today
        self._payroll: deque[Unit] = deque()
        self._payroll_room = 0
        self._waiting: deque[Draft] = deque()  # lines of batches begun
        self._recent: list[tuple[str, Draft]] = []

    def open_day(self, day: date, count: int) -> None:
        """Begins a day of `count` instructions."""
        if day.toordinal() // 3 != self.payments.today.toordinal() // 3:
            self._repaid.clear()
        self._withdrew.clear()
        self.payments.today = day
        self._payroll_room = count // PAYROLL_PART
        paid = _paydays(day)
        self._payroll = deque(unit for unit in self.payments.units if unit.number * 11 % 28 + 1 in paid)

    def next(self) -> Draft:
        """The next ordinary payment."""
        payments, chance = self.payments, self.chance
        if self._waiting and chance.random() < 0.8:
            return self._waiting.popleft()
        draw = chance.random()
        if draw < 0.16:
            return self._repayment() or payments.goods(payments.unit())
        if draw < 0.20:
            return payments.labour(payments.unit())
        if draw < 0.215:
            return self._petty_cash() or payments.goods(payments.unit())
        if draw < 0.225:
            return self._correction() or payments.goods(payments.unit())
        if draw < 0.24:
            return self._to_a_unit(payments.unit())
        if draw < 0.252:
            self._begin_batch()
            return self._waiting.popleft()
        return payments.goods(payments.unit())

    def sent(self, instruction_id: str, draft: Draft) -> None:
        """Remembers a payment under its id, as one that may be refunded or corrected later."""
        if draft.get("invoice_no") and draft["business_type"] != "correction":
            self._recent.append((instruction_id, draft))
            if len(self._recent) > RECENT:
                del self._recent[: RECENT // 2]

    def _repayment(self) -> Draft | None:
        card = self.chance.pick(self.payments.cards)
        item = self.payments.card_item()
        fen = item.amount(self.chance, "city")
        repaid = self._repaid.get(card.number, 0) + fen
        if repaid > card.limit * CARD_ROOM:
            return None
        self._repaid[card.number] = repaid
        return self.payments.card_repayment(card, fen, item)

    def _petty_cash(self) -> Draft | None:
        unit = self.payments.unit()
        if is_spare(unit) or unit.number in self._withdrew:
            return None
        self._withdrew.add(unit.number)
        return self.payments.cash(unit, PETTY_CASH.amount(self.chance, unit.level))

    def _to_a_unit(self, unit: Unit) -> Draft:
        """A share of costs, paid to a unit of another department."""
        other = self.payments.unit()
        while other.payer["department"] == unit.payer["department"]:
            other = self.payments.unit()
        draft = self.payments.draft(unit, TO_A_UNIT, TO_A_UNIT.amount(self.chance, unit.level))
        return draft | self.payments.to_unit(other)

    def _correction(self) -> Draft | None:
        """Part of an earlier payment comes back, or all of it and it is paid again under another functional class.

        Both are booked in the fiscal year of the payment.
        """
        if not self._recent:
            return None
        paid_id, paid = self._recent.pop(self.chance.below(len(self._recent)))
        fen = int(paid["amount"].replace(".", ""))
        year = {"fiscal_year": paid["fiscal_year"]}
        back = paid | self.payments.voucher() | year | {"business_type": "correction", "corrects": paid_id}
        if self.chance.random() < 0.5:
            returned = 1 + self.chance.below(fen)
            return back | {"amount": yuan(-returned), "purpose": f"退回{paid['purpose']}余款"}
        function_class = {"function_class": f"{paid['function_class'][:5]}99"}
        again = paid | self.payments.voucher() | year | function_class
        self._waiting.append(again | {"purpose": f"{paid['purpose']}（更正科目）", "invoice_no": None})
        return back | {"amount": yuan(-fen), "purpose": f"更正科目：{paid['purpose']}"}

    def _begin_batch(self) -> None:
        """A batch voucher: one line for each person of a payroll that is due, or for people whom a unit supports."""
        chance, payments = self.chance, self.payments
        if self._payroll and self._payroll_room > 0:
            unit, item, kind = self._payroll.popleft(), SALARY, "salary"
            places = range(min(unit.staff, self._payroll_room))
            self._payroll_room -= len(places)
        else:
            unit, item, kind = payments.unit(), SUPPORT, "batch"
            places = range(600, 604 + chance.below(16))
        voucher = payments.voucher()
        purpose = payments.words(item)
        for line, place in enumerate(places, 1):
            fen = item.amount(chance, "city")
            if item is SALARY:  # the same pay every month but for attendance
                fen = 360_000 + mixed(unit.number * 1_000 + place) % 800_000 + chance.below(20_000)
            draft = payments.draft(unit, item, fen) | payments.to_person(person(unit.number, place)) | voucher
            self._waiting.append(
                draft
                | {
                    "purpose": purpose,
                    "payment_mode": "direct",
                    "business_type": kind,
                    "batch_id": f"PL{voucher['voucher_no'][2:]}",
                    "line_no": line,
                }
            )


def _paydays(day: date) -> set[int]:
    """The days of the month whose salaries are paid on that day: its own, and those of the free days before it."""
    if not is_working(day):
        return set()
    days = {day.day}
    while not is_working(before := day - timedelta(days=1)):
        days.add(before.day)
        day = before
    return days
