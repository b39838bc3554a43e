"""Single payments of the simulated city, as its units draw them up: what ordinary traffic and plants are made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Generic, TypeVar

from treasury_watch.adapters.simulation.chance import Chance
from treasury_watch.adapters.simulation.city import (
    BUDGETED_UNITS,
    JURISDICTIONS,
    MEETING_STANDARD,
    Card,
    Party,
    Unit,
    allotment_of,
    official_cards,
    person,
    unit_of,
)
from treasury_watch.adapters.simulation.items import CARD_ITEMS, GOODS, LABOUR, PETTY_CASH, TRADES, Item, by_weight
from treasury_watch.adapters.simulation.names import COMPANIES, account_number, company_name, mixed

T = TypeVar("T")
Draft = dict[str, Any]  # the fields of an instruction but its id and event time

PER_UNIT = 15  # instructions of a unit on an ordinary day
REGULAR = 2_000_000  # fen, below which a unit buys from its regular suppliers
NEW_PAYEE = 20_000_000  # fen, from which on ordinary payments go to companies that the jurisdiction has paid before
CONTRACTORS = 40  # companies of a trade that a jurisdiction remembers
MEETINGS = "30215"
FEWEST_UNITS, MOST_UNITS = 100, 100_000

_BANKS = (
    ("云川银行股份有限公司城东支行", "313990000011"),
    ("云川银行股份有限公司江南支行", "313990000028"),
    ("云川农村商业银行股份有限公司营业部", "314990000015"),
    ("云川农村商业银行股份有限公司白塔支行", "314990000023"),
)
# No item is bought from these: who is paid in such a trade was never paid before.
_STRANGE_TRADES = ("工程技术", "实业", "商务服务", "供应链管理", "文化传播")


def yuan(fen: int) -> str:
    """The amount text of the contract."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def units_for(per_day: int) -> int:
    """How many budget units a city has that pays so often a day."""
    return min(max(per_day // PER_UNIT, FEWEST_UNITS), MOST_UNITS)


class Turns(Generic[T]):
    """Things that are handed out in turn, each again only after some days of rest."""

    def __init__(self, items: Sequence[T]) -> None:
        self._items = items
        self._free_from = [0] * len(items)
        self._last = 0

    def next(self) -> T:
        """The next one, rested or not."""
        self._last = (self._last + 1) % len(self._items)
        return self._items[self._last]

    def take(self, today: date, rest: int) -> T | None:
        """The next one that has rested; it then rests for so many days. None if there is none."""
        for ahead in range(1, len(self._items) + 1):
            place = (self._last + ahead) % len(self._items)
            if self._free_from[place] <= today.toordinal():
                self._last = place
                self._free_from[place] = today.toordinal() + rest
                return self._items[place]
        return None


class Payments:
    """Payments of a city as large as its payments per day ask for. All chance comes from `chance`.

    One unit in ten and one card in five are spare: they take part in nothing that a plant adds up. Every second of them
    is quiet: it is kept for near misses, which nothing else may push over a limit.
    """

    def __init__(self, chance: Chance, per_day: int) -> None:
        self.chance = chance
        self.today = date.min
        self.units = [unit_of(each) for each in range(units_for(per_day))]
        self.cards = [card for card in official_cards() if card.unit % 5 != 4]
        units = [unit for unit in self.units if is_spare(unit)]
        cards = [card for card in official_cards() if card.unit % 5 == 4]
        self._spare_units, self._quiet_units = Turns(units[::2]), Turns(units[1::2])
        self._spare_cards, self._quiet_cards = Turns(cards[::2]), Turns(cards[1::2])
        self.budgeted = [self.units[number] for number in BUDGETED_UNITS[::2]]
        self._quiet_budgets: dict[str, Turns[Unit]] = {}  # by subject
        self.quiet_allotments = Turns(range(len(JURISDICTIONS)))
        self._goods, self._card_items = by_weight(GOODS), by_weight(CARD_ITEMS)
        self._contractors: dict[str, dict[str, list[int]]] = {}  # by jurisdiction and trade
        self._vouchers = self._strangers = 0

    def unit(self) -> Unit:
        return self.chance.pick(self.units)

    def spare_unit(self) -> Unit:
        """The spare units in turn."""
        return self._spare_units.next()

    def quiet_unit(self, rest: int) -> Unit | None:
        """A quiet unit that is not handed out again for so many days, or None."""
        return self._quiet_units.take(self.today, rest)

    def quiet_budget(self, subject: str, rest: int) -> Unit | None:
        """A quiet unit that has a budget for that subject, not handed out again for so many days, or None."""
        if subject not in self._quiet_budgets:
            self._quiet_budgets[subject] = Turns([self.units[number] for number in BUDGETED_UNITS[1::2]])
        return self._quiet_budgets[subject].take(self.today, rest)

    def spare_card(self) -> Card:
        """The spare cards in turn."""
        return self._spare_cards.next()

    def quiet_card(self, rest: int) -> Card | None:
        """A quiet card that is not handed out again for so many days, or None."""
        return self._quiet_cards.take(self.today, rest)

    # --- one payment each ---

    def goods(self, unit: Unit, item: Item | None = None, fen: int | None = None, payee: Draft | None = None) -> Draft:
        """Goods or a service. Small things come from a few regular suppliers, large ones from known companies."""
        item = item or self.chance.pick(self._goods)
        if fen is None:
            fen = item.amount(self.chance, unit.level)
            if fen >= NEW_PAYEE and not self._known(unit, item):
                fen = NEW_PAYEE // 4 + fen % (NEW_PAYEE // 2)  # an advance first, the rest once the payee is known
        draft = self.draft(unit, item, fen)
        draft |= payee or self._seller(unit, item, fen)
        draft["invoice_no"] = self._invoice()
        if item.supplier:
            draft |= {"business_type": "collection", "payment_mode": "direct"}
        if fen >= REGULAR:
            draft["contract_no"] = f"YC-HT-{self.today.year}-{self._vouchers:07d}"
        if item.subject == MEETINGS:
            draft |= self.meeting(fen)
        if item.subject.startswith("310"):
            draft["procurement_id"] = f"YCZC-{self.today.year}-{self._vouchers:07d}"
            draft["project"] = item.words[0] + "项目"
        return draft

    def meeting(self, fen: int) -> Draft:
        """The local fields of a meeting within the standard: its class, attendees and days."""
        days = 1 + self.chance.below(3)
        attendees = fen // (MEETING_STANDARD * 100 * days) + 1 + self.chance.below(12)
        return {"attributes": {"meeting_class": "三类", "attendees": attendees, "days": days}}

    def purchase(self, unit: Unit, subjects: tuple[str, str], purpose: str, fen: int) -> Draft:
        """An invoice of a company that is new to the city; the subjects are departmental and governmental."""
        draft = self.draft(unit, Item(1, *subjects, (purpose,), (), 0, 0), fen) | self.stranger()
        draft["invoice_no"] = self._invoice()
        return draft

    def card_repayment(self, card: Card, fen: int, item: Item | None = None) -> Draft:
        """What a holder paid by official card, repaid to that card."""
        draft = self.draft(self.units[card.unit], item or self.card_item(), fen)
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

    def card_item(self) -> Item:
        return self.chance.pick(self._card_items)

    def labour(self, unit: Unit, fen: int | None = None) -> Draft:
        """A fee to somebody who is not on the payroll, taxed and paid to a personal account."""
        draft = self.draft(unit, LABOUR, LABOUR.amount(self.chance, unit.level) if fen is None else fen)
        return draft | self.to_person(person(unit.number, 500 + self.chance.below(60)))

    def cash(self, unit: Unit, fen: int) -> Draft:
        """Cash handed to the unit's cashier."""
        draft = self.draft(unit, PETTY_CASH, fen) | {"payee_name": unit.cashier, "payee_kind": "person"}
        return draft | {"settlement": "cash" if fen < 1_000_000 else "cash_cheque"}

    def oddity(self, unit: Unit) -> Draft:
        """Goods or a service of a company that nobody else pays: what is changed of it concerns no other payment."""
        return self.goods(unit, payee=self.stranger())

    # --- parts ---

    def draft(self, unit: Unit, item: Item, fen: int) -> Draft:
        """A payment of that unit for that item, to nobody yet."""
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
            "allotment_ref": allotment_of(unit.number, self.today.year),
            "purpose": self.words(item),
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

    def words(self, item: Item) -> str:
        """A purpose."""
        return self.chance.pick(item.words).format(y=self.today.year, m=self.today.month)

    def to_unit(self, other: Unit) -> Draft:
        """The basic account of a budget unit."""
        return {
            "payee_name": other.payer["budget_unit_name"],
            "payee_account": account_number("9922", other.number),
            "payee_bank": _BANKS[0][0],
            "payee_bank_code": _BANKS[0][1],
            "payee_kind": "budget_unit",
        }

    def to_person(self, party: Party) -> Draft:
        bank, code = _BANKS[len(party.name) % len(_BANKS)]
        return {
            "payee_name": party.name,
            "payee_account": party.account,
            "payee_bank": bank,
            "payee_bank_code": code,
            "payee_kind": "person",
        }

    def stranger(self) -> Draft:
        """A company that nobody has paid in this run, nor will but for this plant."""
        self._strangers += 1
        turn, number = divmod(self._strangers, COMPANIES)
        trade = _STRANGE_TRADES[turn % len(_STRANGE_TRADES)]
        return self._party(company_name(number, trade), 900_000_000 + self._strangers)

    def _seller(self, unit: Unit, item: Item, fen: int) -> Draft:
        if item.supplier:
            return self._party(item.supplier, int(item.subject))
        if item.designated:
            return self.party(self.chance.pick(item.designated))
        if fen >= NEW_PAYEE and (known := self._known(unit, item)):
            trade, number = self.chance.pick(known)
        else:
            trade = self.chance.pick(item.trades)
            regulars = unit.number * 200 + TRADES[trade] * 2 + self.chance.below(2)
            number = mixed(regulars) % COMPANIES if fen < REGULAR else self.chance.below(COMPANIES)
            if fen >= REGULAR:
                self._remember(unit, trade, number)
        return self._party(company_name(number, trade), 100_000 + TRADES[trade] * COMPANIES + number)

    def _known(self, unit: Unit, item: Item) -> list[tuple[str, int]]:
        """Companies of the item's trades that units of the jurisdiction have paid before."""
        found = self._contractors.get(unit.payer["jurisdiction"], {})
        return [(trade, number) for trade in item.trades for number in found.get(trade, ())]

    def _remember(self, unit: Unit, trade: str, number: int) -> None:
        found = self._contractors.setdefault(unit.payer["jurisdiction"], {}).setdefault(trade, [])
        found.append(number)
        if len(found) > CONTRACTORS:
            del found[0]

    def party(self, party: Party) -> Draft:
        """A company by name and account."""
        return self._party(party.name, int(party.account[4:]))

    def _party(self, name: str, account: int) -> Draft:
        bank, code = _BANKS[account % len(_BANKS)]
        return {
            "payee_name": name,
            "payee_account": account_number("9933", account),
            "payee_bank": bank,
            "payee_bank_code": code,
            "payee_kind": "organisation",
        }

    def _invoice(self) -> str:
        return f"{self.today.year % 100}990000{self._vouchers:012d}"


def is_spare(unit: Unit) -> bool:
    return unit.number % 10 == 9
