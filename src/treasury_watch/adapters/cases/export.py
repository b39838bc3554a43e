"""Cases as files for spreadsheets: CSV with a byte order mark, or XLSX. No cell of theirs is ever a formula.

Amounts, times and hours are numbers and dates for a spreadsheet; all else is text, ids and codes included, which would
lose their leading zeros as numbers. Times are China's.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any, Final, Literal

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from treasury_watch.adapters.cases.reading import FIELDS, Case
from treasury_watch.adapters.cases.rows import ZONE

Format = Literal["csv", "xlsx"]
Language = Literal["zh", "en"]

MOST_XLSX: Final = 1_048_575  # rows of a sheet, without its header
_MOST_CHARACTERS: Final = 32_767  # of a cell
_MOST_DIGITS: Final = 15  # of a number in a sheet; what has more is rounded
_TIME: Final = "yyyy-mm-dd hh:mm:ss"
_DAY: Final = "yyyy-mm-dd"
# Spreadsheets take what begins so for a formula, also behind spaces; a tab or a line end may hide it from a look.
_FORMULA: Final = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")

HEADERS: Final[dict[str, tuple[str, str]]] = {
    "event_time": ("提交时间", "Submitted"),
    "decided_at": ("判定时间", "Decided"),
    "status": ("状态", "Status"),
    "verdict": ("判定结果", "Verdict"),
    "level": ("级别", "Level"),
    "jurisdiction": ("行政区划", "Jurisdiction"),
    "budget_unit": ("预算单位", "Budget unit"),
    "budget_unit_name": ("预算单位名称", "Name of the unit"),
    "amount": ("金额", "Amount"),
    "currency": ("币种", "Currency"),
    "payee_name": ("收款人", "Payee"),
    "payee_account": ("收款账号", "Payee account"),
    "payer_account": ("付款账户", "Payer account"),
    "card_no": ("公务卡号", "Official card"),
    "purpose": ("用途", "Purpose"),
    "rules": ("命中规则", "Rules"),
    "reasons_zh": ("原因", "Reasons (Chinese)"),
    "reasons_en": ("原因（英文）", "Reasons"),
    "evidence_required": ("须备案材料", "Evidence required"),
    "late": ("迟到", "Late"),
    "p_value": ("p值", "p-value"),
    "open_hours": ("历时（小时）", "Hours open"),
    "working_days": ("历时（工作日）", "Working days open"),
    "due_day": ("处置期限", "Due"),
    "disposed_at": ("处置时间", "Disposed"),
    "disposed_by": ("处置人", "Disposed by"),
    "disposition_reason": ("处置理由", "Why"),
    "label": ("标注", "Label"),
    "instruction_id": ("支付指令号", "Instruction"),
    "decision_id": ("判定号", "Decision"),
}
WORDS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "status": {
        "open": ("未处置", "open"),
        "release": ("放行", "released"),
        "return": ("退回", "returned"),
        "confirm": ("认定", "confirmed"),
    },
    "verdict": {"warn": ("预警", "warn"), "intercept": ("拦截", "intercept"), "prohibit": ("禁止", "prohibit")},
    "level": {
        "grey": ("灰", "grey"),
        "red": ("红", "red"),
        "orange": ("橙", "orange"),
        "yellow": ("黄", "yellow"),
        "blue": ("蓝", "blue"),
    },
    "label": {"true_alarm": ("属实", "true alarm"), "false_alarm": ("误报", "false alarm")},
}


class TooMany(Exception):
    """More rows than a sheet holds: one line."""


def export(cases: Iterable[Case], to: IO[bytes], form: Format, language: Language) -> int:
    """Writes cases by FIELDS with a header in that language; returns how many. Raises TooMany."""
    return _csv(cases, to, language) if form == "csv" else _xlsx(cases, to, language)


def in_words(field: str, value: Any, language: Language) -> Any:
    """A value as people read it: words of the language for codes, local time without a zone, lists joined."""
    if value is None:
        return None
    if isinstance(value, bool):
        return {True: ("是", "yes"), False: ("否", "no")}[value][language == "en"]
    if isinstance(value, datetime):
        return value.astimezone(ZONE).replace(tzinfo=None, microsecond=0)
    if isinstance(value, list):
        return " ".join(value)
    word = WORDS.get(field, {}).get(value) if isinstance(value, str) else None
    return word[language == "en"] if word else value


def _headers(language: Language) -> list[str]:
    return [HEADERS[field][language == "en"] for field in FIELDS]


def _csv(cases: Iterable[Case], to: IO[bytes], language: Language) -> int:
    text = io.TextIOWrapper(to, encoding="utf-8-sig", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(_headers(language))
    n = 0
    for case in cases:
        writer.writerow([_plain(in_words(field, case[field], language)) for field in FIELDS])
        n += 1
    text.flush()
    text.detach()
    return n


def _plain(value: Any) -> Any:
    """A cell of CSV, which has no types: an apostrophe makes text of what would be a formula."""
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return value


def _xlsx(cases: Iterable[Case], to: IO[bytes], language: Language) -> int:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("案件" if language == "zh" else "Cases")
    sheet.freeze_panes = "A2"
    sheet.append([_cell(sheet, header) for header in _headers(language)])
    n = 0
    for case in cases:
        if n == MOST_XLSX:
            sheet.close()
            raise TooMany(f"more than {MOST_XLSX:,} cases, which a sheet does not hold; narrow it down, or take CSV")
        sheet.append([_cell(sheet, in_words(field, case[field], language)) for field in FIELDS])
        n += 1
    book.save(to)
    return n


def _cell(sheet: Any, value: Any) -> Any:
    if isinstance(value, Decimal) and len(value.as_tuple().digits) > _MOST_DIGITS:
        value = str(value)
    if isinstance(value, str):
        cell = WriteOnlyCell(sheet, value=ILLEGAL_CHARACTERS_RE.sub("\ufffd", value)[:_MOST_CHARACTERS])
        cell.data_type = "s"  # text, whatever it begins with
        return cell
    cell = WriteOnlyCell(sheet, value=value)
    if isinstance(value, datetime):
        cell.number_format = _TIME
    elif isinstance(value, date):
        cell.number_format = _DAY
    elif isinstance(value, Decimal):
        cell.number_format = "#,##0.00"
    return cell
