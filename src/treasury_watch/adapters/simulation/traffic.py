"""Ordinary payments: what a treasury without violations sends all day."""

from __future__ import annotations

from collections import deque
from datetime import date, timedelta
from typing import Any

from treasury_watch.adapters.simulation.chance import Chance
from treasury_watch.adapters.simulation.city import Card, Party, Unit, official_cards, person, unit_of
from treasury_watch.adapters.simulation.items import (
    CARD_ITEMS,
    GOODS,
    LABOUR,
    PETTY_CASH,
    SALARY,
    SUPPORT,
    TO_A_UNIT,
    TRADES,
    Item,
    by_weight,
)
from treasury_watch.adapters.simulation.names import COMPANIES, account_number, company_name, mixed
from treasury_watch.adapters.simulation.workdays import is_working

Draft = dict[str, Any]  # the fields of an instruction but its id and event time

PER_UNIT = 15  # instructions of a unit on an ordinary day
FEWEST_UNITS, MOST_UNITS = 100, 100_000
RECENT = 300  # payments that a refund or correction may still concern
PAYROLL_PART = 4  # at most one instruction in so many is a salary line
CARD_ROOM = 45  # percent of a card's limit that is repaid in three calendar days; 72 hours touch two such spans

_BANKS = (
    ("云川银行股份有限公司城东支行", "313990000011"),
    ("云川银行股份有限公司江南支行", "313990000028"),
    ("云川农村商业银行股份有限公司营业部", "314990000015"),
    ("云川农村商业银行股份有限公司白塔支行", "314990000023"),
)


def yuan(fen: int) -> str:
    """The amount text of the contract."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


class Traffic:
    """Payments of a city as large as its payments per day ask for. All chance comes from `chance`.

    One unit in ten and one card in five are spare: they take part in nothing that a plant of `violations` adds up.
    """

    def __init__(self, chance: Chance, per_day: int) -> None:
        self.chance = chance
        self.today = date.min
        self.units = [unit_of(each) for each in range(min(max(per_day // PER_UNIT, FEWEST_UNITS), MOST_UNITS))]
        self.spare_units = [unit for unit in self.units if unit.number % 10 == 9]
        self.spare_cards = [card for card in official_cards() if card.unit % 5 == 4]
        self._cards = [card for card in official_cards() if card.unit % 5 != 4]
        self._goods, self._card_items = by_weight(GOODS), by_weight(CARD_ITEMS)
        self._repaid: dict[str, int] = {}  # fen by card in the current three days
        self._withdrew: set[int] = set()  # units that have had cash today
        self._payroll: deque[Unit] = deque()
        self._payroll_room = 0
        self._waiting: deque[Draft] = deque()  # lines of batches begun
        self._recent: list[tuple[str, Draft]] = []
        self._vouchers = self._spared = 0

    def open_day(self, day: date, count: int) -> None:
        """Begins a day of `count` instructions."""
        if day.toordinal() // 3 != self.today.toordinal() // 3:
            self._repaid.clear()
        self._withdrew.clear()
        self.today = day
        self._payroll_room = count // PAYROLL_PART
        paid = _paydays(day)
        self._payroll = deque(unit for unit in self.units if unit.number * 11 % 28 + 1 in paid)

    def next(self) -> Draft:
        """The next ordinary payment."""
        chance = self.chance
        if self._waiting and chance.random() < 0.8:
            return self._waiting.popleft()
        draw = chance.random()
        if draw < 0.16:
            return self._repayment() or self.goods(self.unit())
        if draw < 0.20:
            return self.labour(self.unit())
        if draw < 0.215:
            return self._petty_cash() or self.goods(self.unit())
        if draw < 0.225:
            return self._correction() or self.goods(self.unit())
        if draw < 0.24:
            return self._to_a_unit(self.unit())
        if draw < 0.252:
            self._begin_batch()
            return self._waiting.popleft()
        return self.goods(self.unit())

    def sent(self, instruction_id: str, draft: Draft) -> None:
        """Remembers a payment under its id, as one that may be refunded or corrected later."""
        if draft.get("invoice_no") and draft["business_type"] != "correction":
            self._recent.append((instruction_id, draft))
            if len(self._recent) > RECENT:
                del self._recent[: RECENT // 2]

    # --- one payment each ---

    def unit(self) -> Unit:
        return self.chance.pick(self.units)

    def spare_unit(self) -> Unit:
        """The spare units in turn."""
        self._spared += 1
        return self.spare_units[self._spared % len(self.spare_units)]

    def spare_card(self) -> Card:
        """The spare cards in turn."""
        self._spared += 1
        return self.spare_cards[self._spared % len(self.spare_cards)]

    def goods(self, unit: Unit, item: Item | None = None) -> Draft:
        """Goods or a service from a company. Small things are bought from a few regular suppliers."""
        item = item or self.chance.pick(self._goods)
        fen = item.amount(self.chance, unit.level)
        draft = self._draft(unit, item, fen)
        draft |= self._company(unit, item, regular=fen < 2_000_000)
        draft["payee_kind"] = "organisation"
        draft["invoice_no"] = f"{self.today.year % 100}990000{self._vouchers:012d}"
        if item.supplier:
            draft |= {"business_type": "collection", "payment_mode": "direct"}
        if fen >= 2_000_000:
            draft["contract_no"] = f"YC-HT-{self.today.year}-{self._vouchers:07d}"
        if item.subject.startswith("310"):
            draft["procurement_id"] = f"YCZC-{self.today.year}-{self._vouchers:07d}"
            draft["project"] = item.words[0] + "项目"
        return draft

    def card_repayment(self, card: Card, fen: int, item: Item | None = None) -> Draft:
        """What a holder paid by official card, repaid to that card."""
        draft = self._draft(self.units[card.unit], item or self.chance.pick(self._card_items), fen)
        return draft | {
            "payee_name": card.holder,
            "payee_account": card.number,
            "payee_bank": "云川银行股份有限公司信用卡中心",
            "payee_kind": "person",
            "settlement": "official_card",
            "business_type": "official_card",
            "card_no": card.number,
            "card_holder": card.holder,
        }

    def labour(self, unit: Unit, fen: int | None = None) -> Draft:
        """A fee to somebody who is not on the payroll, taxed and paid to a personal account."""
        draft = self._draft(unit, LABOUR, LABOUR.amount(self.chance, unit.level) if fen is None else fen)
        return draft | self._to_person(person(unit.number, 500 + self.chance.below(60)))

    def cash(self, unit: Unit, fen: int) -> Draft:
        """Cash handed to the unit's cashier."""
        draft = self._draft(unit, PETTY_CASH, fen) | {"payee_name": unit.cashier, "payee_kind": "person"}
        return draft | {"settlement": "cash" if fen < 1_000_000 else "cash_cheque"}

    def _repayment(self) -> Draft | None:
        card = self.chance.pick(self._cards)
        item = self.chance.pick(self._card_items)
        fen = item.amount(self.chance, "city")
        repaid = self._repaid.get(card.number, 0) + fen
        if repaid > card.limit * CARD_ROOM:
            return None
        self._repaid[card.number] = repaid
        return self.card_repayment(card, fen, item)

    def _petty_cash(self) -> Draft | None:
        unit = self.unit()
        if unit.number % 10 == 9 or unit.number in self._withdrew:
            return None
        self._withdrew.add(unit.number)
        return self.cash(unit, PETTY_CASH.amount(self.chance, unit.level))

    def _to_a_unit(self, unit: Unit) -> Draft:
        other = self.unit()
        draft = self._draft(unit, TO_A_UNIT, TO_A_UNIT.amount(self.chance, unit.level))
        return draft | {
            "payee_name": other.payer["budget_unit_name"],
            "payee_account": account_number("9922", other.number),
            "payee_bank": _BANKS[0][0],
            "payee_bank_code": _BANKS[0][1],
            "payee_kind": "budget_unit",
        }

    def _correction(self) -> Draft | None:
        """Part of an earlier payment comes back, or all of it and it is paid again under another subject."""
        if not self._recent:
            return None
        paid_id, paid = self._recent.pop(self.chance.below(len(self._recent)))
        fen = int(paid["amount"].replace(".", ""))
        back = paid | {"business_type": "correction", "corrects": paid_id} | self.voucher()
        if self.chance.random() < 0.5:
            returned = 1 + self.chance.below(fen)
            return back | {"amount": yuan(-returned), "purpose": f"退回{paid['purpose']}余款"}
        again = paid | {"department_economic_class": "30299", "economic_class": "50299"} | self.voucher()
        self._waiting.append(again | {"purpose": f"{paid['purpose']}（更正科目）", "invoice_no": None})
        return back | {"amount": yuan(-fen), "purpose": f"更正科目：{paid['purpose']}"}

    def _begin_batch(self) -> None:
        """A batch voucher: one line for each person of a payroll that is due, or for people whom a unit supports."""
        chance = self.chance
        if self._payroll and self._payroll_room > 0:
            unit, item, kind = self._payroll.popleft(), SALARY, "salary"
            places = range(min(unit.staff, self._payroll_room))
            self._payroll_room -= len(places)
        else:
            unit, item, kind = self.unit(), SUPPORT, "batch"
            places = range(600, 604 + chance.below(16))
        voucher = self.voucher()
        purpose = self._words(item)
        for line, place in enumerate(places, 1):
            fen = item.amount(chance, "city")
            if item is SALARY:  # the same pay every month but for attendance
                fen = 360_000 + mixed(unit.number * 1_000 + place) % 800_000 + chance.below(20_000)
            draft = self._draft(unit, item, fen) | self._to_person(person(unit.number, place)) | voucher
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

    # --- parts ---

    def _draft(self, unit: Unit, item: Item, fen: int) -> Draft:
        chance = self.chance
        return {
            **unit.payer,
            **self.voucher(),
            "amount": yuan(fen),
            "payment_mode": "direct" if fen >= 5_000_000 else "authorised",
            "settlement": "transfer",
            "business_type": "normal",
            "fund_type": "政府性基金预算" if item.subject == "31005" else "一般公共预算",
            "economic_class": item.government_subject,
            "department_economic_class": item.subject,
            "project": "机关运行",
            "allotment_ref": f"云财指〔{self.today.year}〕{unit.number % 400 + 1}号",
            "purpose": self._words(item),
            "initiator": unit.initiators[chance.below(2)],
            "approver": unit.approver,
            "cashier": unit.cashier,
        }

    def voucher(self) -> Draft:
        """The fields of a new voucher of today."""
        self._vouchers += 1
        return {
            "fiscal_year": self.today.year,
            "voucher_no": f"PZ{self.today.year}{self._vouchers:08d}",
            "voucher_date": self.today,
        }

    def _words(self, item: Item) -> str:
        return self.chance.pick(item.words).format(y=self.today.year, m=self.today.month)

    def _company(self, unit: Unit, item: Item, *, regular: bool) -> Draft:
        if item.supplier:
            account, name = int(item.subject), item.supplier
        else:
            trade = self.chance.pick(item.trades)
            regulars = unit.number * 200 + TRADES[trade] * 2 + self.chance.below(2)
            number = mixed(regulars) % COMPANIES if regular else self.chance.below(COMPANIES)
            account, name = 100_000 + TRADES[trade] * COMPANIES + number, company_name(number, trade)
        bank, code = _BANKS[account % len(_BANKS)]
        return {
            "payee_name": name,
            "payee_account": account_number("9933", account),
            "payee_bank": bank,
            "payee_bank_code": code,
        }

    def _to_person(self, party: Party) -> Draft:
        bank, code = _BANKS[len(party.name) % len(_BANKS)]
        return {
            "payee_name": party.name,
            "payee_account": party.account,
            "payee_bank": bank,
            "payee_bank_code": code,
            "payee_kind": "person",
        }


def _paydays(day: date) -> set[int]:
    """The days of the month whose salaries are paid on that day: its own, and those of the free days before it."""
    if not is_working(day):
        return set()
    days = {day.day}
    while not is_working(before := day - timedelta(days=1)):
        days.add(before.day)
        day = before
    return days
