"""The messages of the contract as models: they define the published JSON Schemas and what an instruction may be.

Descriptions are in both languages. `python -m treasury_watch.adapters.messages docs/schemas` writes the schemas.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator

from treasury_watch.domain.payment import (
    AMOUNT,
    FIELDS,
    FIRST_YEAR,
    LAST_YEAR,
    AccountKind,
    BusinessType,
    PayeeKind,
    PaymentMode,
    Settlement,
    UnitLevel,
)
from treasury_watch.domain.verdict import Action, HitMode, Level, Verdict

_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:([Zz])|([+-])([0-9]{2}):?([0-9]{2}))"
)
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INT64 = 2**63


def event_time_of(text: object) -> datetime:
    """The aware time of an RFC 3339 text, to the microsecond (a seventh digit of the fraction rounds half up).

    As RFC 3339 allows: `t`, `z` or a space for the `T`, any number of digits. The colon of the offset may be absent.
    Raises ValueError for everything else: no offset, a leap second, an offset of 24 hours or more, a year out of range.
    """
    found = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("not an RFC 3339 time with offset")
    *numbers, fraction, zulu, sign, hours, minutes = found.groups()
    zone = UTC
    if not zulu:
        if int(hours) > 23 or int(minutes) > 59:
            raise ValueError("offset out of range")
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(-offset if sign == "-" else offset) if offset else UTC
    digits = (fraction or "").ljust(7, "0")
    microsecond = int(digits[:6]) + (digits[6] >= "5")
    year, month, day, hour, minute, second = map(int, numbers)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=zone) + timedelta(microseconds=microsecond)
    except OverflowError as error:
        raise ValueError("year out of range") from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError("year out of range")
    return moment


def date_of(text: object) -> date:
    """The date of a text `YYYY-MM-DD`. Raises ValueError for everything else."""
    if not isinstance(text, str) or not _ISO_DATE.fullmatch(text):
        raise ValueError("not a date")
    return date.fromisoformat(text)


def is_unicode(text: str) -> bool:
    """Whether a text can be written out: JSON can name halves of surrogate pairs, UTF-8 cannot."""
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)


def is_attribute(value: object) -> bool:
    """Whether a local field may have this value: text, a boolean, a finite number; an integer fits 64 bits."""
    if isinstance(value, str):
        return is_unicode(value)
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, int) and -_INT64 <= value < _INT64


def attributes_of(value: object) -> dict[str, Any]:
    """The local fields of an object; a null one is missing, as everywhere. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("not an object")
    given = {name: each for name, each in value.items() if each is not None}
    if not all(is_unicode(name) and is_attribute(each) for name, each in given.items()):
        raise ValueError("not a local field")
    return given


def _version_of(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("not an integer")


_Version = Annotated[Literal[1], BeforeValidator(_version_of)]
_Moment = Annotated[datetime, BeforeValidator(event_time_of)]
_Date = Annotated[date, BeforeValidator(date_of)]
_Money = Annotated[str, Field(pattern=f"^{AMOUNT.pattern}$")]
_Required = Annotated[str, Field(min_length=1)]
_Id = Annotated[str, Field(min_length=1, max_length=64)]
_Attributes = Annotated[
    dict[str, Any],
    BeforeValidator(attributes_of),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}),
]


def _about(english: str, default: Any = None) -> Any:
    return Field(default, description=english)


def _no_titles(schema: dict[str, Any]) -> None:
    for each in schema["properties"].values():
        each.pop("title", None)


def _chinese_labels(schema: dict[str, Any]) -> None:
    _no_titles(schema)
    for name, each in schema["properties"].items():
        label = FIELDS[name].zh if name in FIELDS else "地方扩展"
        each["description"] = f"{label} · {each['description']}"


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, json_schema_extra=_no_titles)


class PaymentInstruction(_Message):
    """支付指令 · A payment instruction, as published on `treasury.payments`. Unknown fields are ignored and counted."""

    model_config = ConfigDict(json_schema_extra=_chinese_labels)

    schema_version: _Version | None = _about("version of this message format", 1)
    instruction_id: _Id = _about("number of the payment instruction, unique per jurisdiction; idempotency key", ...)
    event_time: _Moment = _about("when it was submitted for payment: RFC 3339 with offset, years 1900 to 9998", ...)
    jurisdiction: _Required = _about("administrative division; the default partition key", ...)
    fiscal_year: Annotated[int, Field(ge=1, le=9999)] | None = _about("fiscal year; default: local year of event_time")
    voucher_no: str | None = _about("voucher number")
    voucher_date: _Date | None = _about("date of the voucher")
    batch_id: str | None = _about("batch that the instruction belongs to")
    line_no: Annotated[int, Field(ge=-_INT64, lt=_INT64)] | None = _about("line within the batch voucher")
    budget_unit: _Required = _about("code of the paying budget unit", ...)
    budget_unit_name: str | None = _about("name of the paying budget unit")
    unit_level: UnitLevel | None = _about("level of government of the budget unit")
    department: str | None = _about("department in charge")
    payer_account: str | None = _about("account paid from; masked wherever it is shown")
    payer_account_name: str | None = _about("name of the account paid from")
    payer_account_kind: AccountKind | None = _about("kind of the account paid from")
    payer_bank: str | None = _about("bank of the account paid from")
    payee_name: str | None = _about("name of the payee")
    payee_account: str | None = _about("account of the payee; masked wherever it is shown")
    payee_bank: str | None = _about("bank of the payee")
    payee_bank_code: str | None = _about("bank code of the payee's bank")
    payee_kind: PayeeKind | None = _about("kind of payee")
    amount: _Money = _about("amount as decimal text with two places, below 10^16; negative for refunds", ...)
    currency: str | None = _about("currency, ISO 4217; default CNY")
    payment_mode: PaymentMode = _about("direct or authorised payment", ...)
    settlement: Settlement = _about("means of settlement", ...)
    business_type: BusinessType | None = _about("type of business")
    fund_type: str | None = _about("type of fund")
    function_class: str | None = _about("functional classification of expenditure")
    economic_class: str | None = _about("government economic classification")
    department_economic_class: str | None = _about("department economic classification")
    project: str | None = _about("project")
    allotment_ref: str | None = _about("reference of the allotment drawn on")
    purpose: str | None = _about("purpose, free text")
    card_no: str | None = _about("number of the official card; masked wherever it is shown")
    card_holder: str | None = _about("holder of the official card")
    procurement_id: str | None = _about("procurement number")
    contract_no: str | None = _about("contract number")
    invoice_no: str | None = _about("invoice number")
    initiator: str | None = _about("person who initiated the payment")
    approver: str | None = _about("person who approved the payment")
    cashier: str | None = _about("person who paid it out")
    corrects: str | None = _about("instruction_id of the instruction that this one corrects")
    green_channel: bool | None = _about("urgent payment by the green channel; default false", False)
    attributes: _Attributes | None = _about("local fields, reachable in rules as attributes.x; a null one is missing")

    @field_validator("*", mode="before")
    @classmethod
    def _unicode(cls, value: object) -> object:
        if isinstance(value, str) and not is_unicode(value):
            raise ValueError("not valid Unicode")
        return value


class BilingualText(_Message):
    """双语文本 · One sentence in both languages."""

    zh: str = Field(description="中文 · Chinese")
    en: str = Field(description="英文 · English")


class WithheldHit(_Message):
    """例外 · The exception that withheld a hit."""

    owner: str = Field(description="责任人 · who answers for the exception")
    basis: str = Field(description="依据 · what it rests on")
    expires: str = Field(description="到期日 · last local day on which it counts")


class HitMessage(_Message):
    """命中 · One rule that matched."""

    rule: str = Field(description="规则编号 · id of the rule")
    revision: int = Field(description="规则版次 · revision of the rule")
    action: Action = Field(description="动作 · what the rule asks for")
    mode: HitMode = Field(description="状态 · only live hits count towards the verdict")
    level: Level = Field(description="等级 · warning level")
    risk_point: str | None = Field(description="风险点 · risk point that the rule answers")
    reason: BilingualText = Field(description="原因 · why it matched, accounts and cards masked")
    evidence: dict[str, str] = Field(description="证据 · the values that the reason speaks of, masked likewise")
    missing: list[str] = Field([], description="缺失 · fields and features that were missing")
    excepted: WithheldHit | None = Field(None, description="例外 · present when an exception withheld the hit")


class DriverMessage(_Message):
    """异常原因 · What drove an anomaly score."""

    feature: str = Field(description="特征 · what was measured")
    value: float = Field(description="特征值 · its value")
    surprise: float = Field(description="意外程度 · how rare such a value is, −ln of its share − 1, at least 0")
    text: BilingualText = Field(description="说明 · what it says, as a sentence")


class AnomalyMessage(_Message):
    """异常分 · What the anomaly model says; it never holds a payment."""

    score: float = Field(description="异常分 · anomaly score, at least 0")
    p_value: float | None = Field(
        description="p值 · share of payments that are as odd; null while the model is warming"
    )
    alert: bool = Field(description="异常提示 · whether the p-value is within the share that is to alert")
    model: str = Field(description="模型 · name and version of the model")
    drivers: list[DriverMessage] = Field([], description="原因 · largest parts of the score, of an alert or a hit")
    creeping: bool = Field(False, description="缓慢增长 · the amounts of this unit have slowly grown")


class DecisionMessage(_Message):
    """判定 · The verdict on one accepted instruction, as published on `treasury.decisions`."""

    schema_version: Literal[1] = Field(description="版本 · version of this message format")
    decision_id: str = Field(description="判定号 · a function of the instruction and the rule set")
    instruction_id: str = Field(description="支付指令号 · the instruction judged")
    jurisdiction: str = Field(description="行政区划 · administrative division")
    budget_unit: str = Field(description="预算单位 · paying budget unit")
    amount: _Money = Field(description="支付金额 · amount as sent")
    currency: str = Field(description="币种 · currency")
    event_time: datetime = Field(description="提交时间 · event time as sent, RFC 3339 with offset")
    decided_at: datetime | None = Field(
        None, description="判定时间 · when it was decided; absent in a replay from a file"
    )
    verdict: Verdict = Field(description="判定结果 · highest action among the live hits")
    evidence_required: bool = Field(description="须备案材料 · the budget unit must file evidence with the case")
    late: bool = Field(description="迟到 · it arrived after newer instructions of its partition key")
    hits: list[HitMessage] = Field(description="命中 · every rule that matched, live or not")
    anomaly: AnomalyMessage | None = Field(None, description="异常分 · what the anomaly model says; absent without one")
    ruleset: str = Field(description="规则集 · hash of the rule set that judged")
    reference: str = Field(description="参考数据 · hash of the lists and tables that it used")
    engine: str = Field(description="引擎版本 · version of the engine")


class CaseMessage(DecisionMessage):
    """案件 · A decision that needs a person, as published on `treasury.intercepts` and `treasury.warnings`."""

    instruction: PaymentInstruction = Field(description="支付指令 · the instruction judged, as accepted")


class DispositionMessage(_Message):
    """处置 · What a person decided about an intercepted or warned payment, as published on `treasury.dispositions`."""

    schema_version: Literal[1] = Field(1, description="版本 · version of this message format")
    disposition_id: _Id = Field(description="处置号 · idempotency key")
    instruction_id: _Id = Field(description="支付指令号 · the instruction it is about")
    jurisdiction: _Required = Field(description="行政区划 · partition key")
    decision_id: _Required = Field(description="判定号 · the decision it answers")
    disposition: Literal["release", "return", "confirm"] = Field(
        description="处置 · 放行 release, 退回 return, 认定 confirm"
    )
    decided_by: _Required = Field(description="处置人 · person who decided")
    decided_at: datetime = Field(description="处置时间 · when, RFC 3339 with offset")
    reason: str = Field(description="理由 · why")
    label: Literal["true_alarm", "false_alarm"] | None = Field(None, description="标注 · was the warning right")


PUBLISHED: dict[str, type[BaseModel]] = {
    "instruction": PaymentInstruction,
    "decision": DecisionMessage,
    "case": CaseMessage,
    "disposition": DispositionMessage,
}


def schema_text(name: str) -> str:
    """The JSON Schema of one published message, as the file `docs/schemas/<name>.schema.json` holds it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **PUBLISHED[name].model_json_schema()}
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    for each in PUBLISHED:
        Path(sys.argv[1], f"{each}.schema.json").write_text(schema_text(each), encoding="utf-8")
