"""Single payments of the simulated city, as its units draw them up: what ordinary traffic and plants are made of."""

from __future__ import annotations

from datetime import date
from typing import Any

from treasury_watch.adapters.simulation.chance import Chance
from treasury_watch.adapters.simulation.city import Card, Party, Unit, official_cards, person, unit_of
from treasury_watch.adapters.simulation.items import CARD_ITEMS, GOODS, LABOUR, PETTY_CASH, TRADES, Item, by_weight
from treasury_watch.adapters.simulation.names import COMPANIES, account_number, company_name, mixed

Draft = dict[str, Any]  # the fields of an instruction but its id and event time

PER_UNIT = 15  # instructions of a unit on an ordinary day
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


class Payments:
    """Payments of a city as large as its payments per day ask for. All chance comes from `chance`.

    One unit in ten and one card in five are spare: they take part in nothing that a plant adds up. Every second spare
    unit is quiet: it is kept for near misses, which nothing else may push over a limit.
    """

    def __init__(self, chance: Chance, per_day: int) -> None:
        self.chance = chance
        self.today = date.min
        self.units = [unit_of(each) for each in range(min(max(per_day // PER_UNIT, FEWEST_UNITS), MOST_UNITS))]
        self.cards = [card for card in official_cards() if card.unit % 5 != 4]
        spare = [unit for unit in self.units if is_spare(unit)]
        self._spare_units, self._quiet_units = spare[::2], spare[1::2]
        self._spare_cards = [card for card in official_cards() if card.unit % 5 == 4]
        self._goods, self._card_items = by_weight(GOODS), by_weight(CARD_ITEMS)
        self._vouchers = self._spared = self._quieted = self._strangers = 0

    def unit(self) -> Unit:
        return self.chance.pick(self.units)

    def spare_unit(self) -> Unit:
        """The spare units in turn."""
        self._spared += 1
        return self._spare_units[self._spared % len(self._spare_units)]

    def quiet_unit(self) -> Unit:
        """The quiet units in turn."""
        self._quieted += 1
        return self._quiet_units[self._quieted % len(self._quiet_units)]

    def spare_card(self) -> Card:
        """The spare cards in turn."""
        self._spared += 1
        return self._spare_cards[self._spared % len(self._spare_cards)]

    # --- one payment each ---

    def goods(self, unit: Unit, item: Item | None = None, fen: int | None = None) -> Draft:
        """Goods or a service from a company. Small things are bought from a few regular suppliers."""
        item = item or self.chance.pick(self._goods)
        if fen is None:
            fen = item.amount(self.chance, unit.level)
        draft = self.draft(unit, item, fen)
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
            "allotment_ref": f"云财指〔{self.today.year}〕{unit.number % 400 + 1}号",
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

    def _company(self, unit: Unit, item: Item, *, regular: bool) -> Draft:
        if item.supplier:
            account, name = int(item.subject), item.supplier
        else:
            trade = self.chance.pick(item.trades)
            regulars = unit.number * 200 + TRADES[trade] * 2 + self.chance.below(2)
            number = mixed(regulars) % COMPANIES if regular else self.chance.below(COMPANIES)
            account, name = 100_000 + TRADES[trade] * COMPANIES + number, company_name(number, trade)
        return self._party(name, account)

    def _party(self, name: str, account: int) -> Draft:
        bank, code = _BANKS[account % len(_BANKS)]
        return {
            "payee_name": name,
            "payee_account": account_number("9933", account),
            "payee_bank": bank,
            "payee_bank_code": code,
        }


def is_spare(unit: Unit) -> bool:
    return unit.number % 10 == 9
