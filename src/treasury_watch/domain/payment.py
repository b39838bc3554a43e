"""The payment instruction (支付指令): the thing that is judged, field by field as the contract names it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Literal

from msgspec import Meta, Struct

UnitLevel = Literal["central", "province", "city", "county", "town"]
AccountKind = Literal["zero_balance", "basic", "general", "special", "treasury"]
PayeeKind = Literal["organisation", "person", "budget_unit", "fiscal"]
PaymentMode = Literal["direct", "authorised"]
Settlement = Literal["transfer", "cash", "cash_cheque", "cheque", "official_card", "other"]
BusinessType = Literal["normal", "official_card", "salary", "batch", "collection", "tax", "correction", "other"]
Required = Annotated[str, Meta(min_length=1)]
Year = Annotated[int, Meta(ge=1, le=9999)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
AttributeValue = str | bool | Int64 | float

HOME_CURRENCY = "CNY"
FIRST_YEAR, LAST_YEAR = 1900, 9998  # of event_time: room for local days and windows on both sides


class Instruction(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """One payment instruction, as published on `treasury.payments`; `None` means missing.

    `amount` is the decimal text of the message (two places, |amount| < 10^16, in `currency`); `event_time` is aware and
    keeps the offset it was sent with, to the microsecond. Money is never a float. Source: contract, "Payment
    instruction".
    """

    instruction_id: Annotated[str, Meta(min_length=1, max_length=64)]
    event_time: Annotated[datetime, Meta(tz=True)]
    jurisdiction: Required
    budget_unit: Required
    amount: str
    payment_mode: PaymentMode
    settlement: Settlement
    schema_version: Literal[1] = 1
    fiscal_year: Year | None = None
    voucher_no: str | None = None
    voucher_date: date | None = None
    batch_id: str | None = None
    line_no: Int64 | None = None
    budget_unit_name: str | None = None
    unit_level: UnitLevel | None = None
    department: str | None = None
    payer_account: str | None = None
    payer_account_name: str | None = None
    payer_account_kind: AccountKind | None = None
    payer_bank: str | None = None
    payee_name: str | None = None
    payee_account: str | None = None
    payee_bank: str | None = None
    payee_bank_code: str | None = None
    payee_kind: PayeeKind | None = None
    currency: str | None = None
    business_type: BusinessType | None = None
    fund_type: str | None = None
    function_class: str | None = None
    economic_class: str | None = None
    department_economic_class: str | None = None
    project: str | None = None
    allotment_ref: str | None = None
    purpose: str | None = None
    card_no: str | None = None
    card_holder: str | None = None
    procurement_id: str | None = None
    contract_no: str | None = None
    invoice_no: str | None = None
    initiator: str | None = None
    approver: str | None = None
    cashier: str | None = None
    corrects: str | None = None
    green_channel: bool = False
    attributes: dict[str, AttributeValue] | None = None


class Kind(Enum):
    """How a field is read, compared and shown."""

    TEXT = "text"  # compared as it stands
    NAME = "name"  # compared in name form: NFKC, outer and doubled spaces removed
    ACCOUNT = "account"  # compared in account form: NFKC, no spaces or hyphens; shown masked to its last four
    ENUM = "enum"  # one of a closed set, shown by its label
    MONEY = "money"  # exact; fen in the engine, yuan with two places in messages
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"  # an aware instant
    ATTRIBUTE = "attribute"  # local field: text, exact number or boolean


@dataclass(frozen=True, slots=True)
class Field:
    """What is known of one field of the contract."""

    name: str
    kind: Kind
    zh: str
    required: bool = False
    values: Mapping[str, str] = field(default_factory=dict)  # ENUM: value → Chinese label


def _enum(name: str, zh: str, labels: dict[str, str], *, required: bool = False) -> Field:
    return Field(name, Kind.ENUM, zh, required, MappingProxyType(labels))


_UNIT_LEVELS = {"central": "中央", "province": "省级", "city": "市级", "county": "县级", "town": "乡级"}
_ACCOUNT_KINDS = {
    "zero_balance": "零余额账户",
    "basic": "基本存款账户",
    "general": "一般存款账户",
    "special": "专用存款账户",
    "treasury": "国库单一账户",
}
_PAYEE_KINDS = {"organisation": "单位", "person": "个人", "budget_unit": "预算单位", "fiscal": "财政专户"}
_MODES = {"direct": "直接支付", "authorised": "授权支付"}
_SETTLEMENTS = {
    "transfer": "转账",
    "cash": "现金",
    "cash_cheque": "现金支票",
    "cheque": "支票",
    "official_card": "公务卡",
    "other": "其他",
}
_BUSINESS_TYPES = {
    "normal": "普通业务",
    "official_card": "公务卡还款",
    "salary": "工资",
    "batch": "批量支付",
    "collection": "委托收款",
    "tax": "缴税",
    "correction": "更正",
    "other": "其他",
}

FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        each.name: each
        for each in (
            Field("schema_version", Kind.INTEGER, "版本", True),  # never missing: it has a default
            Field("instruction_id", Kind.TEXT, "支付指令号", True),
            Field("event_time", Kind.TIME, "提交时间", True),
            Field("jurisdiction", Kind.TEXT, "行政区划", True),
            Field("fiscal_year", Kind.INTEGER, "业务年度", True),  # never missing: defaults to the local year
            Field("voucher_no", Kind.TEXT, "凭证号"),
            Field("voucher_date", Kind.DATE, "凭证日期"),
            Field("batch_id", Kind.TEXT, "批次"),
            Field("line_no", Kind.INTEGER, "行号"),
            Field("budget_unit", Kind.TEXT, "预算单位", True),
            Field("budget_unit_name", Kind.NAME, "预算单位名称"),
            _enum("unit_level", "单位层级", _UNIT_LEVELS),
            Field("department", Kind.TEXT, "主管部门"),
            Field("payer_account", Kind.ACCOUNT, "付款账户"),
            Field("payer_account_name", Kind.NAME, "付款账户名称"),
            _enum("payer_account_kind", "付款账户性质", _ACCOUNT_KINDS),
            Field("payer_bank", Kind.TEXT, "付款银行"),
            Field("payee_name", Kind.NAME, "收款人"),
            Field("payee_account", Kind.ACCOUNT, "收款账号"),
            Field("payee_bank", Kind.TEXT, "收款人开户行"),
            Field("payee_bank_code", Kind.TEXT, "收款行号"),
            _enum("payee_kind", "收款人类别", _PAYEE_KINDS),
            Field("amount", Kind.MONEY, "支付金额"),  # required, but missing for rules in an unconverted currency
            Field("currency", Kind.TEXT, "币种", True),  # never missing: defaults to CNY
            _enum("payment_mode", "支付方式", _MODES, required=True),
            _enum("settlement", "结算方式", _SETTLEMENTS, required=True),
            _enum("business_type", "业务类型", _BUSINESS_TYPES),
            Field("fund_type", Kind.TEXT, "资金性质"),
            Field("function_class", Kind.TEXT, "功能分类"),
            Field("economic_class", Kind.TEXT, "政府经济分类"),
            Field("department_economic_class", Kind.TEXT, "部门经济分类"),
            Field("project", Kind.TEXT, "项目"),
            Field("allotment_ref", Kind.TEXT, "指标文号"),
            Field("purpose", Kind.NAME, "用途"),
            Field("card_no", Kind.ACCOUNT, "公务卡号"),
            Field("card_holder", Kind.NAME, "持卡人"),
            Field("procurement_id", Kind.TEXT, "采购编号"),
            Field("contract_no", Kind.TEXT, "合同编号"),
            Field("invoice_no", Kind.TEXT, "发票号"),
            Field("initiator", Kind.NAME, "制单"),
            Field("approver", Kind.NAME, "审核"),
            Field("cashier", Kind.NAME, "出纳"),
            Field("corrects", Kind.TEXT, "更正原指令"),
            Field("green_channel", Kind.BOOLEAN, "绿色通道", True),
        )
    }
)

MOST_MARKS = 30  # as Unicode's Stream-Safe Text Format has it (UAX #15, section 13)
AMOUNT = re.compile(r"-?[0-9]{1,16}\.[0-9]{2}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What shows nothing: controls that are no white space, and Unicode's Default_Ignorable_Code_Point (soft hyphen, spaces
# and joiners without width, marks of direction, variation selectors, tags …) but for four fillers, which show a gap.
_INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
    "\u00ad\u034f\u061c\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_ACCOUNT_GAPS = re.compile(rf"[\s\-\u2010-\u2015\u2212{_INVISIBLE}]")
_NAME_GAPS = re.compile(rf"[{_INVISIBLE}]")


def field_of(name: str) -> Field | None:
    """The field of that name; `attributes.x` is a local field; `None` when the contract has no such field."""
    known = FIELDS.get(name)
    if known is None and name.startswith("attributes.") and len(name) > len("attributes."):
        return Field(name, Kind.ATTRIBUTE, name.removeprefix("attributes."))
    return known


def partition_key_of(instruction: Instruction, name: str) -> str | None:
    """The value of a field (`attributes.x` too) as the text that a message's key is; `None` where it is missing."""
    local = name.removeprefix("attributes.")
    value: AttributeValue | date | None
    value = getattr(instruction, name) if local == name else (instruction.attributes or {}).get(local)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def fen_of(amount: str) -> int:
    """Exact fen (1/100 yuan) of an amount text with two places, such as "-1234.50" → -123450."""
    return int(amount.replace(".", ""))


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00:00Z of an aware time, exact for every year."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(us: int) -> datetime:
    """The UTC time of microseconds since 1970-01-01T00:00:00Z. Raises OverflowError outside the years 1 to 9999."""
    return _EPOCH + us * _MICROSECOND


def account_form(text: str) -> str:
    """The form in which account and card numbers are compared: NFKC, no white space, no hyphens, nothing invisible."""
    if text.isascii() and text.isalnum():
        return text
    return _without(_ACCOUNT_GAPS, unicodedata.normalize("NFKC", text))


def name_form(text: str) -> str:
    """The form in which names and purposes are compared: NFKC, nothing invisible, no outer or doubled space."""
    normal = text if unicodedata.is_normalized("NFKC", text) else unicodedata.normalize("NFKC", text)
    if normal.isalnum():  # CJK counts as alphanumeric: most names end here
        return normal
    return " ".join(_without(_NAME_GAPS, normal).split())


def _without(gaps: re.Pattern[str], normal: str) -> str:
    """A text in NFKC without some of its characters, in NFKC still: what they kept apart may combine."""
    closed = gaps.sub("", normal)
    return closed if len(closed) == len(normal) else unicodedata.normalize("NFKC", closed)


def piles_up(text: str) -> bool:
    """Whether more than MOST_MARKS marks that combine follow one another, gaps aside: putting n of them in their order,
    as NFKC does, takes time by the square of n.
    """
    if text.isascii():
        return False
    marks = 0
    for each in text:
        seen = _ACCOUNT_GAPS.sub("", unicodedata.normalize("NFKD", each))
        if seen:
            marks = marks + 1 if unicodedata.combining(seen[0]) else 0
        if marks > MOST_MARKS:
            return True
    return False


def masked(number: str) -> str:
    """An account or card number as it may be shown: all but the last four characters replaced."""
    return "*" * (len(number) - 4) + number[-4:] if len(number) > 4 else "*" * len(number)
