"""The first pack (`benchmarks.packs`) as an ordinary Faust app: one event per message, Faust tables for the windows, a
send per decision.

It is what the throughput of the worker is compared with, by the same few rules of the default pack, written for speed
within what Faust's guide shows:

- messages are plain dictionaries: models would cost more;
- sliding windows are sums over tumbling ones of a day, since a hopping window writes every window that it falls into;
  so 72 hours are three UTC days and 7 days are seven, which lets some payments in or out that the rules do not;
- sums of local days, months and fiscal years, and the times of equal payments, are plain tables with the period, or
  nothing, in their key.

It does less than the worker, in its own favour: it refuses nothing, does not know the same instruction again, brings no
text into normal form and takes an amount in any currency for yuan.
"""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

import faust
import yaml
from faust.types import StreamT

from treasury_watch.adapters.rulefiles import default_rules

NAME = "ordinary"  # of the app and, with a dot, the prefix of its topics
BROKER, FOLDER = "ORDINARY_BROKER", "ORDINARY_FOLDER"  # environment
PARTITIONS = 4
DAY = 86_400.0

app = faust.App(
    NAME,
    broker=f"kafka://{os.environ.get(BROKER, '127.0.0.1:9092')}",
    datadir=os.environ.get(FOLDER, "ordinary-data"),
    store="memory://",
    topic_partitions=PARTITIONS,
    consumer_auto_offset_reset="earliest",
    broker_session_timeout=6.0,
    broker_heartbeat_interval=2.0,
    broker_rebalance_timeout=8.0,
    web_enabled=False,
)
payments = app.topic(f"{NAME}.payments", value_serializer="json", key_serializer="raw")
decisions = app.topic(f"{NAME}.decisions", value_serializer="json", key_serializer="raw")
intercepts = app.topic(f"{NAME}.intercepts", value_serializer="json", key_serializer="raw")
warnings = app.topic(f"{NAME}.warnings", value_serializer="json", key_serializer="raw")

cash = app.Table("cash", default=int)  # fen by unit and local day, month or fiscal year
same = app.Table("same", default=list)  # event times of 95 days by unit, account, amount and purpose
uses = app.Table("uses", default=list)  # the newest 20 event times of 30 days by unit and purpose
invoices = app.Table("invoices", default=list)  # event times of 30 days by account, invoice and amount
repaid: Any = app.Table("repaid", default=int).tumbling(DAY)  # fen by unit and card
paid: Any = app.Table("paid", default=lambda: [0, 0, 0]).tumbling(DAY)  # fen, largest, how many, by unit and account
UNSPLIT = {"salary", "batch", "collection", "tax"}  # business types that go to one payee often by their nature
HEADING = 20  # a purpose that a unit has written more often in 30 days tells nothing apart

NOTICE = {"county": 20_000_000, "town": 10_000_000}
LIMIT = {"county": 50_000_000, "town": 20_000_000}
CHINESE = re.compile("[\u4e00-\u9fff]")
GARBLED = re.compile(r"[$^*<>|\\~{}=@\ufffd]|\?\?")


def _card_limits() -> dict[str, int]:
    with (default_rules() / "tables" / "official_cards.csv").open(encoding="utf-8", newline="") as rows:
        return {row["card_no"]: int(row["credit_limit"].replace(".", "")) for row in csv.DictReader(rows)}


def _list(name: str) -> set[str]:
    text = (default_rules() / "lists" / f"{name}.yaml").read_text(encoding="utf-8")
    return {str(entry["value"]) for entry in yaml.safe_load(text)["entries"]}


CARD_LIMITS = _card_limits()
DEBARRED_ACCOUNTS, DEBARRED_NAMES = _list("debarred_accounts"), _list("debarred_names")


class Hit(NamedTuple):
    rule: str
    action: str
    zh: str
    en: str


SEVERITY = {"warn": 1, "intercept": 2, "prohibit": 3}


class Seen(NamedTuple):
    """What the tables are asked with, and written with once a payment is let through."""

    fen: int
    at: float  # event time, seconds since the epoch
    unit: str  # with its jurisdiction
    periods: tuple[str, str, str] | None  # of cash: day, month, fiscal year
    card: str | None
    payee: str | None
    same: str | None
    purpose: str | None
    invoice: str | None


def seen_in(payment: dict[str, Any]) -> Seen:
    at = datetime.fromisoformat(payment["event_time"])
    unit = f"{payment['jurisdiction']}|{payment['budget_unit']}"
    account, purpose, invoice = payment.get("payee_account"), payment.get("purpose"), payment.get("invoice_no")
    periods = None
    if payment["settlement"] in ("cash", "cash_cheque"):
        year = payment.get("fiscal_year", at.year)
        periods = f"{unit}|{at:%Y-%m-%d}", f"{unit}|{at:%Y-%m}", f"{unit}|fiscal {year}"
    on_card = payment["settlement"] == "official_card"
    return Seen(
        fen=int(payment["amount"].replace(".", "")),
        at=at.timestamp(),
        unit=unit,
        periods=periods,
        card=f"{unit}|{payment.get('card_no')}" if on_card else None,
        payee=f"{unit}|{account}" if account and payment.get("business_type") not in UNSPLIT else None,
        same=f"{unit}|{account}|{payment['amount']}|{purpose}" if account and purpose else None,
        purpose=f"{unit}|{purpose}" if purpose else None,
        invoice=f"{payment['jurisdiction']}|{account}|{invoice}|{payment['amount']}" if account and invoice else None,
    )


def of_payment(payment: dict[str, Any], fen: int) -> Iterator[Hit]:
    """The rules that need no window."""
    level, yuan = payment.get("unit_level"), payment["amount"]
    notice, limit = NOTICE.get(str(level), 50_000_000), LIMIT.get(str(level), 100_000_000)
    if fen >= limit:
        yield Hit(
            "AMT-002", "intercept", f"单笔支付{yuan}元，达到限额{limit / 100:.2f}元", f"CNY {yuan} reaches the limit"
        )
    elif fen >= notice:
        yield Hit("AMT-001", "warn", f"单笔支付{yuan}元，达到大额标准{notice / 100:.2f}元", f"CNY {yuan} is large")
    if payment["settlement"] in ("cash", "cash_cheque"):
        if fen >= 5_000_000:
            yield Hit("CASH-002", "intercept", f"单笔提取现金{yuan}元，达到限额50000.00元", f"Cash of CNY {yuan}")
        elif fen >= 1_000_000:
            yield Hit("CASH-001", "warn", f"单笔提取现金{yuan}元，达到10000.00元", f"Cash of CNY {yuan}")
    if payment["settlement"] == "official_card":
        card_limit = CARD_LIMITS.get(payment.get("card_no", ""))
        if card_limit is None:
            if fen > 5_000_000:
                yield Hit("CARD-004", "intercept", f"公务卡未登记，还款{yuan}元", f"CNY {yuan} to an unknown card")
            elif fen > 2_000_000:
                yield Hit("CARD-003", "warn", f"公务卡未登记，还款{yuan}元", f"CNY {yuan} to an unknown card")
        elif fen > card_limit:
            yield Hit(
                "CARD-001", "intercept", f"公务卡还款{yuan}元，超过卡片额度", f"CNY {yuan} is over the card's limit"
            )
    account, name, purpose = payment.get("payee_account"), payment.get("payee_name"), payment.get("purpose")
    if account in DEBARRED_ACCOUNTS:
        yield Hit("DEBAR-001", "intercept", f"收款账户（{name}）在禁付名单中", f"{name} is on the debarment list")
    elif name in DEBARRED_NAMES:
        yield Hit("DEBAR-002", "warn", f"收款人“{name}”与禁付名单中的单位同名", f"{name} bears a debarred name")
    initiator, approver = payment.get("initiator"), payment.get("approver")
    if (initiator is None) != (approver is None):
        yield Hit("ROLE-001", "warn", "制单或审核缺失", "Initiator or approver is missing")
    elif initiator is not None and initiator == approver:
        yield Hit("ROLE-001", "prohibit", f"制单与审核为同一人：{initiator}", f"{initiator} initiated and approved")
    personal = payment.get("payee_kind", "person") == "person"  # or not said to be another's
    labour = personal and payment.get("department_economic_class") == "30226"
    if labour and fen >= 1_000_000:
        yield Hit("PERSON-001", "warn", f"向个人账户支付劳务费{yuan}元", f"CNY {yuan} of labour cost to a person")
    if not account and payment["settlement"] == "transfer":
        yield Hit("DATA-003", "warn", "转账支付未填写收款账号", "The transfer has no payee account")
    for text, missing, unlike, garbled in (
        (purpose, "DATA-001", "TEXT-001", "TEXT-003"),
        (name, "DATA-002", "TEXT-002", "TEXT-004"),
    ):
        if not text:
            yield Hit(missing, "warn", "未填写", "Not filled in")
        elif not CHINESE.search(text):
            yield Hit(unlike, "warn", f"“{text}”没有汉字", f"{text} has no Chinese characters")
        elif GARBLED.search(text):
            yield Hit(garbled, "warn", f"“{text}”含有特殊字符或乱码", f"{text} is garbled")


def of_windows(payment: dict[str, Any], seen: Seen) -> Iterator[Hit]:
    """The rules that ask tables. Nothing that is paid back can be too much."""
    fen = seen.fen
    if fen <= 0:
        return
    if seen.periods:
        day, month, year = (cash[period] + fen for period in seen.periods)
        if day > 5_000_000:
            yield Hit(
                "CASH-003", "warn", f"当日累计提取现金{day / 100:.2f}元", f"Cash of the day is CNY {day / 100:.2f}"
            )
        if month > 20_000_000:
            yield Hit("CASH-004", "warn", f"当月累计提取现金{month / 100:.2f}元", f"Of the month CNY {month / 100:.2f}")
        if year > 100_000_000:
            yield Hit("CASH-005", "warn", f"年度累计提取现金{year / 100:.2f}元", f"Of the year CNY {year / 100:.2f}")
    if seen.card:
        limit = CARD_LIMITS.get(payment.get("card_no", ""))
        if limit is not None and fen <= limit:
            total = fen + sum(repaid.relative_to(seen.at - back * DAY)[seen.card].value() for back in range(3))
            if total > limit:
                yield Hit(
                    "CARD-002", "intercept", f"72小时内还款合计{total / 100:.2f}元", f"72 hours: CNY {total / 100:.2f}"
                )
    if seen.same and payment.get("invoice_no") is None and fen >= 100_000:
        times = same[seen.same]
        if times and _within(uses[seen.purpose], seen.at, 30) < HEADING:
            regular = _within(times, seen.at, 95) > 1
            yield from _again(times, seen.at, "DUP-001", None if regular else "DUP-002")
    if seen.invoice:
        yield from _again(invoices[seen.invoice], seen.at, "DUP-003", "DUP-004")
    limit = LIMIT.get(str(payment.get("unit_level")), 100_000_000)
    if seen.payee and fen < limit:
        days = [paid.relative_to(seen.at - back * DAY)[seen.payee].value() for back in range(7)]
        total, count = fen + sum(map(itemgetter(0), days)), 1 + sum(map(itemgetter(2), days))
        if total >= limit and count > 1 and max(map(itemgetter(1), days)) < limit:
            yield Hit(
                "SPLIT-001", "intercept", f"7日内{count}次支付，合计{total / 100:.2f}元", f"{count} payments, split"
            )


def _again(times: list[float], at: float, intercept: str, warn: str | None) -> Iterator[Hit]:
    count = 1 + _within(times, at, 30)
    if _within(times, at, 1):
        yield Hit(intercept, "intercept", f"24小时内第{count}次支付", f"Payment no. {count} within 24 hours")
    elif count > 1 and warn:
        yield Hit(warn, "warn", f"30日内第{count}次支付", f"Payment no. {count} within 30 days")


def _within(times: list[float], at: float, days: int) -> int:
    return sum(0 <= at - time < days * DAY for time in times)


def remember(seen: Seen) -> None:
    """Writes a payment that was let through into the tables."""
    if seen.periods:
        for period in seen.periods:
            cash[period] += seen.fen
    if seen.card:
        repaid.relative_to(seen.at)[seen.card] += seen.fen
    if seen.same:
        same[seen.same] = [*(time for time in same[seen.same] if seen.at - time < 95 * DAY), seen.at]
    if seen.purpose:
        uses[seen.purpose] = [*(time for time in uses[seen.purpose] if seen.at - time < 30 * DAY), seen.at][-HEADING:]
    if seen.invoice:
        invoices[seen.invoice] = [*(time for time in invoices[seen.invoice] if seen.at - time < 30 * DAY), seen.at]
    if seen.payee:
        windows = paid.relative_to(seen.at)
        total, largest, count = windows[seen.payee].value()
        windows[seen.payee] = [total + seen.fen, max(largest, seen.fen), count + 1]


@app.agent(payments)
async def judge(stream: StreamT[dict[str, Any]]) -> None:
    async for payment in stream:
        seen = seen_in(payment)
        hits = [*of_payment(payment, seen.fen), *of_windows(payment, seen)]
        severity = max((SEVERITY[hit.action] for hit in hits), default=0)
        verdict = ("pass", "warn", "intercept", "prohibit")[severity]
        if severity < SEVERITY["intercept"]:
            remember(seen)
        decision = {
            "schema_version": 1,
            "instruction_id": payment["instruction_id"],
            "jurisdiction": payment["jurisdiction"],
            "budget_unit": payment["budget_unit"],
            "amount": payment["amount"],
            "currency": payment.get("currency", "CNY"),
            "event_time": payment["event_time"],
            "verdict": verdict,
            "hits": [{"rule": rule, "action": action, "reason": {"zh": zh, "en": en}} for rule, action, zh, en in hits],
        }
        key = payment["instruction_id"].encode()
        await decisions.send(key=key, value=decision)
        if severity:
            cases = warnings if verdict == "warn" else intercepts
            await cases.send(key=key, value=decision | {"instruction": payment})


if __name__ == "__main__":
    sys.argv[1:] = ["worker", "--loglevel=warn", "--without-web"]
    app.main()
