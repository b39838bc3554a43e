"""Exports: what a spreadsheet makes of them, and that nothing in them is a formula."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from openpyxl import load_workbook

from treasury_watch.adapters.cases import export as exporting
from treasury_watch.adapters.cases.export import HEADERS, TooMany, export
from treasury_watch.adapters.cases.reading import FIELDS


def row(**given: Any) -> dict[str, Any]:
    return {
        **dict.fromkeys(FIELDS),
        "event_time": datetime(2026, 3, 2, 1, 0, 0, 123456, tzinfo=UTC),
        "status": "open",
        "verdict": "intercept",
        "amount": Decimal("60000.00"),
        "budget_unit": "001001",
        "payee_account": "****2222",
        "rules": ["A-1", "B-2"],
        "late": False,
        **given,
    }


def csv_of(*rows: dict[str, Any], language: Any = "zh") -> tuple[bytes, list[dict[str, str]]]:
    file = io.BytesIO()
    assert export(rows, file, "csv", language) == len(rows)
    return file.getvalue(), list(csv.DictReader(io.StringIO(file.getvalue().decode("utf-8-sig"))))


def xlsx_of(*rows: dict[str, Any], language: Any = "zh") -> Any:
    file = io.BytesIO()
    assert export(rows, file, "xlsx", language) == len(rows)
    return load_workbook(file).active


def column(name: str) -> int:
    return FIELDS.index(name) + 1


def test_csv_begins_with_a_byte_order_mark_and_is_in_the_language_that_is_asked_for() -> None:
    written, [chinese] = csv_of(row())
    assert written.startswith(b"\xef\xbb\xbf")
    assert (chinese["提交时间"], chinese["判定结果"], chinese["命中规则"]) == ("2026-03-02 09:00:00", "拦截", "A-1 B-2")
    _, [english] = csv_of(row(), language="en")
    assert (english["Verdict"], english["Late"], english["Amount"]) == ("intercept", "no", "60000.00")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1", "＝1", "x\n=1", "plain"])
def test_no_cell_is_a_formula_whatever_it_begins_with(text: str) -> None:
    _, [shown] = csv_of(row(purpose=text))
    begins = text.strip()[0] in "=+-@＝"
    assert shown["用途"] == (f"'{text}" if begins else text)

    cell = xlsx_of(row(purpose=text)).cell(2, column("purpose"))
    assert cell.data_type == "s"
    assert cell.value.strip() == text.strip()


def test_a_negative_amount_is_a_number_and_no_text() -> None:
    _, [shown] = csv_of(row(amount=Decimal("-5.00")))
    assert shown["金额"] == "-5.00"
    cell = xlsx_of(row(amount=Decimal("-5.00"))).cell(2, column("amount"))
    assert (cell.data_type, cell.value) == ("n", -5)


@pytest.mark.parametrize(("amount", "kind"), [("9999999999999.99", "n"), ("10000000000000.01", "s")])
def test_an_amount_that_a_sheet_would_round_is_text(amount: str, kind: str) -> None:
    cell = xlsx_of(row(amount=Decimal(amount))).cell(2, column("amount"))
    assert (cell.data_type, str(cell.value)) == (kind, amount)


def test_a_sheet_keeps_times_as_times_and_codes_as_they_are() -> None:
    sheet = xlsx_of(row(payee_name="坏\x0b字"))
    assert [cell.value for cell in sheet[1]] == [chinese for chinese, _ in HEADERS.values()]
    assert sheet.cell(2, column("event_time")).value.isoformat() == "2026-03-02T09:00:00"
    assert sheet.cell(2, column("budget_unit")).value == "001001"
    assert sheet.cell(2, column("payee_name")).value == "坏\ufffd字"
    assert sheet.freeze_panes == "A2"


def test_more_than_a_sheet_holds_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MOST_XLSX", 2)
    assert export([row()] * 2, io.BytesIO(), "xlsx", "zh") == 2
    with pytest.raises(TooMany, match="narrow it down"):
        export([row()] * 3, io.BytesIO(), "xlsx", "zh")


def test_every_field_has_a_header_in_both_languages() -> None:
    assert tuple(HEADERS) == FIELDS
