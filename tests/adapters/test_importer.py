from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from treasury_watch.adapters.importer import (
    ImportProblem,
    ImportSummary,
    Mapping,
    Reject,
    import_file,
    load_mapping,
    shipped,
)
from treasury_watch.adapters.importer.amounts import amount_reader
from treasury_watch.adapters.importer.mapping import parse_mapping
from treasury_watch.adapters.wire import decode
from treasury_watch.domain.payment import Instruction

SAMPLE = Path(__file__).parent / "files" / "treasury-export.csv"
DATA = Path(__file__).parents[3] / "shared" / "data"


def mapping_of(text: str = "", **fields: Any) -> Mapping:
    """A mapping of the columns id, day, who, sum; `text` is YAML beside the fields, `fields` replace field sources."""
    sources: dict[str, Any] = {
        "instruction_id": "id",
        "event_time": {"column": "day", "formats": ["%Y-%m-%d"], "zone": "Asia/Shanghai", "assume_time": "09:00"},
        "jurisdiction": {"constant": "990100"},
        "budget_unit": {"constant": "101001"},
        "payment_mode": {"constant": "direct"},
        "settlement": {"constant": "transfer"},
        "payee_name": "who",
        "amount": "sum",
    } | fields
    return parse_mapping((yaml.safe_load(text) or {}) | {"fields": sources}, "m.yaml")


class Imported:
    """What an import made of a file: instructions, rejects and the summary."""

    def __init__(self, path: Path, mapping: Mapping) -> None:
        out = io.BytesIO()
        self.rejects: list[Reject] = []
        self.summary: ImportSummary = import_file(path, mapping, out, self.rejects.append)
        decoded = [decode(line) for line in out.getvalue().splitlines()]
        self.instructions = [each for each in decoded if isinstance(each, Instruction)]
        assert len(decoded) == len(self.instructions) == self.summary.imported

    @property
    def reasons(self) -> list[tuple[int, str]]:
        return [(each.line, each.reason) for each in self.rejects]


@pytest.fixture
def imported(tmp_path: Path) -> Any:
    def run(content: str | bytes, mapping: Mapping | None = None) -> Imported:
        path = tmp_path / "export.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return Imported(path, mapping or mapping_of())

    return run


# --- a treasury's own export ---


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-8", "utf-8-sig", "utf-16"])
def test_a_treasury_export_is_read_in_whatever_encoding_it_comes(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "导出.csv"
    path.write_bytes(SAMPLE.read_text(encoding="utf-8").encode(encoding))
    result = Imported(path, load_mapping("treasury-export.template.yaml"))

    assert (result.summary.rows, result.summary.imported) == (8, 4)
    first, second, third, fourth = result.instructions
    assert (first.budget_unit_name, first.amount, first.payee_kind) == ("云川市教育局", "12860.00", "organisation")
    assert first.event_time.isoformat() == "2025-03-05T09:12:33+08:00"
    assert (second.amount, second.settlement, second.card_no) == ("1230.50", "official_card", "6200000000001234")
    assert second.purpose == "差旅费\n（赴省城开会）"
    assert (third.amount, third.corrects, third.unit_level) == ("-560.00", "ZF0000", "county")
    assert third.event_time.isoformat() == "2025-03-05T09:00:00+08:00"
    assert (fourth.payee_name, fourth.payee_account) == (None, None)


def test_rejects_of_the_treasury_export_name_physical_line_field_and_cause() -> None:
    result = Imported(SAMPLE, load_mapping("treasury-export.template.yaml"))
    assert [str(each) for each in result.rejects] == [
        "line 7: amount: amount `80.005`: more precise than one fen (元: at most 2 decimal places)",
        "line 8: date: event_time `昨天`: not in the form "
        "%Y-%m-%d %H:%M:%S or %Y/%m/%d %H:%M or %Y年%m月%d日 or %Y%m%d",
        "line 9: number: payee_account in scientific notation, rounded by a spreadsheet: export the column as text",
        "line 10: value: settlement `支付宝` is not among the `values` of the mapping",
    ]


# --- amounts ---


@pytest.mark.parametrize(
    ("text", "yuan"),
    [
        ("0", "0.00"),
        ("-0.00", "0.00"),
        ("1234.5", "1234.50"),
        (".5", "0.50"),
        ("007", "7.00"),
        ("1,234,567.89", "1234567.89"),
        ("１，２３４．５０", "1234.50"),
        ("￥1,000", "1000.00"),
        ("人民币 20元", "20.00"),
        ("(1,234.50)", "-1234.50"),
        ("（88）", "-88.00"),
        ("-¥5", "-5.00"),
        ("¥-5", "-5.00"),
        ("¥(5)", "-5.00"),
        ("5.00-", "-5.00"),
        ("−5.5", "-5.50"),
        ("+5", "5.00"),
        ("100.1000", "100.10"),
        ("9999999999999999.99", "9999999999999999.99"),
    ],
)
def test_an_amount_is_read_exactly(text: str, yuan: str) -> None:
    assert amount_reader("元")(text) == yuan


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1.234", "more precise than one fen"),
        ("1.2E+5", "scientific notation"),
        ("(-5)", "more than one sign"),
        ("--5", "more than one sign"),
        ("1,23", "not an amount"),
        ("1.234,50", "not an amount"),
        ("1 234", "not an amount"),
        ("-", "not an amount"),
        ("五百", "not an amount"),
        ("10000000000000000", "larger than the contract allows"),
    ],
)
def test_an_amount_that_is_not_exact_is_refused_and_never_rounded(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        amount_reader("元")(text)


@pytest.mark.parametrize(
    ("unit", "text", "yuan"),
    [("万元", "1.5", "15000.00"), ("万元", "-0.000001", "-0.01"), ("分", "12345", "123.45"), ("分", "-5", "-0.05")],
)
def test_a_unit_moves_the_point_and_loses_nothing(unit: str, text: str, yuan: str) -> None:
    assert amount_reader(unit)(text) == yuan


@pytest.mark.parametrize(("unit", "text"), [("万元", "0.0000001"), ("分", "0.5")])
def test_a_part_of_a_fen_is_refused_in_every_unit(unit: str, text: str) -> None:
    with pytest.raises(ValueError, match="more precise than one fen"):
        amount_reader(unit)(text)


# --- dates ---


def test_dates_moved_by_whole_weeks_keep_weekday_and_hour_in_their_zone(imported: Any) -> None:
    source = {
        "column": "day",
        "formats": ["%Y-%m-%d %H:%M", "%d/%m/%Y"],
        "zone": "Europe/London",
        "assume_time": "08:30",
    }
    mapping = mapping_of(event_time=source | {"shift_weeks": "26"})
    result = imported("id,day,who,sum\na,2025-01-06 09:00,x,1\nb,13/01/2025,x,1\n", mapping)
    # Mondays in January, at winter time; Mondays in July, at summer time.
    assert [each.event_time.isoformat() for each in result.instructions] == [
        "2025-07-07T09:00:00+01:00",
        "2025-07-14T08:30:00+01:00",
    ]


def test_a_written_offset_wins_over_the_zone(imported: Any) -> None:
    source = {"column": "day", "formats": ["%Y-%m-%dT%H:%M%z"], "zone": "Asia/Shanghai"}
    result = imported("id,day,who,sum\na,2025-01-06T09:00+0300,x,1\n", mapping_of(event_time=source))
    assert result.instructions[0].event_time.isoformat() == "2025-01-06T09:00:00+03:00"


def test_a_date_moved_out_of_the_calendar_is_a_reject(imported: Any) -> None:
    source = {"column": "day", "formats": ["%Y-%m-%d"], "zone": "UTC", "assume_time": "09:00", "shift_weeks": "1"}
    result = imported("id,day,who,sum\na,9999-12-31,x,1\n", mapping_of(event_time=source))
    assert result.reasons == [(2, "date")]


# --- where values come from ---


def test_templates_count_rows_and_lines_and_join_columns(imported: Any) -> None:
    mapping = mapping_of(instruction_id={"template": "X{row:04}-{line}-{who}"})
    result = imported('id,day,who,sum\n1,2025-01-06,"a\nb",1\n\n2,2025-01-06,c,1\n', mapping)
    assert [each.instruction_id for each in result.instructions] == ["X0001-2-a\nb", "X0002-5-c"]


def test_an_empty_cell_is_missing_unless_the_mapping_names_a_value(imported: Any) -> None:
    mapping = mapping_of(
        payee_name={"column": "who", "missing": ["-", "NULL"]}, jurisdiction={"column": "who", "empty": "unknown"}
    )
    result = imported("id,day,who,sum\n1,2025-01-06,,1\n2,2025-01-06,NULL,1\n3,2025-01-06, 　甲 ,1\n", mapping)
    assert [(each.payee_name, each.jurisdiction) for each in result.instructions] == [
        (None, "unknown"),
        (None, "NULL"),
        ("甲", "甲"),
    ]


def test_a_translation_to_nothing_is_missing_and_an_unlisted_text_is_a_reject(imported: Any) -> None:
    mapping = mapping_of(payee_kind={"column": "who", "values": {"甲": "person", "乙": ""}}, payee_name="id")
    result = imported("id,day,who,sum\n1,2025-01-06,甲,1\n2,2025-01-06,乙,1\n3,2025-01-06,丙,1\n", mapping)
    assert [each.payee_kind for each in result.instructions] == ["person", None]
    assert result.reasons == [(4, "value")]


def test_a_row_without_a_required_value_is_a_reject(imported: Any) -> None:
    result = imported("id,day,who,sum\n1,2025-01-06,x,\n,2025-01-06,x,1\n" + "9" * 65 + ",2025-01-06,x,1\n")
    assert result.reasons == [(2, "schema"), (3, "schema"), (4, "schema")]
    assert result.rejects[0].detail.startswith("amount: missing, expected decimal text")


def test_a_row_too_large_for_a_message_is_a_reject(imported: Any) -> None:
    result = imported(f"id,day,who,sum\n1,2025-01-06,{'长' * 22_000},1\n2,2025-01-06,{'长' * 21_000},1\n")
    assert result.reasons == [(2, "too_large")]
    assert result.summary.imported == 1


def test_local_fields_other_kinds_and_columns_by_position(imported: Any) -> None:
    fields = {
        "fiscal_year": "who",
        "green_channel": {"column": "flag", "values": {"Y": "true", "N": "false"}},
        "voucher_date": {"column": "day", "formats": ["%Y-%m-%d"], "shift_weeks": "1"},
        "attributes.代码": "flag",
        "payee_name": {"constant": "0101"},
    }
    mapping = mapping_of("file: {columns: [id, day, who, sum, flag], delimiter: ';'}", **fields)
    result = imported("1;2025-01-06;2024;1;Y\n2;2025-01-06;twenty;1;Y\n", mapping)
    one = result.instructions[0]
    assert (one.fiscal_year, one.green_channel, str(one.voucher_date)) == (2024, True, "2025-01-13")
    assert (one.attributes, one.payee_name) == ({"代码": "Y"}, "0101")
    assert result.reasons == [(2, "value")]


# --- damaged files ---


def test_quoted_newlines_do_not_disturb_the_line_numbers(imported: Any) -> None:
    result = imported('id,day,who,sum\r\n1,2025-01-06,"甲\r\n\r\n乙",1\r\n2,2025-01-06,x,one\r\n')
    assert result.instructions[0].payee_name == "甲\r\n\r\n乙"
    assert result.reasons == [(5, "amount")]


@pytest.mark.parametrize(
    "stray",
    [
        '1,2025-01-06,"never closed,1',
        '1,2025-01-06,"closed" too early,1',
        '1,"2025-01-06,x,1',
    ],
)
def test_a_stray_quote_costs_its_own_row_and_no_other(imported: Any, stray: str) -> None:
    rows = "".join(f'{n},2025-01-06,"payee {n}",1\n' for n in range(2, 6))
    result = imported(f"id,day,who,sum\n{stray}\n{rows}")
    assert [each.instruction_id for each in result.instructions] == ["2", "3", "4", "5"]
    assert [str(each) for each in result.rejects] == ["line 2: quoting: a quote inside a quoted cell is not doubled"]


def test_a_quote_that_never_closes_does_not_swallow_a_large_file(imported: Any) -> None:
    rows = "".join(f"{n},2025-01-06,payee,1\n" for n in range(20_000))
    result = imported(f'id,day,who,sum\nx,2025-01-06,"payee,1\n{rows}')
    assert result.summary.imported == 20_000
    assert [str(each) for each in result.rejects] == ["line 2: quoting: a quote opens a cell and never closes it"]


def test_rows_with_too_few_or_too_many_cells_are_rejects(imported: Any) -> None:
    result = imported("id,day,who,sum\n1,2025-01-06,x\n2,2025-01-06,x,1,000\n3,2025-01-06,x,1\n")
    assert [str(each) for each in result.rejects] == [
        "line 2: columns: 3 cells, expected 4",
        "line 3: columns: 5 cells, expected 4",
    ]


def test_a_row_that_is_not_text_is_a_reject_and_the_rest_is_imported(imported: Any) -> None:
    content = "id,day,who,sum\n1,2025-01-06,甲,1\n".encode() + b"2,2025-01-06,\xff\xfe,1\n3,2025-01-06,x,1\n"
    result = imported(content)
    assert result.reasons == [(3, "encoding")]
    assert [each.instruction_id for each in result.instructions] == ["1", "3"]


def test_the_encoding_is_found_even_where_chinese_text_comes_late(imported: Any) -> None:
    plain = "".join(f"{n},2025-01-06,payee,1\n" for n in range(60_000))
    content = f"id,day,who,sum\n{plain}x,2025-01-06,收款人,1\n".encode("gbk")
    result = imported(content, mapping_of("file: {encodings: [utf-8, gbk]}"))
    assert result.summary.encoding == "gb18030"
    assert result.instructions[-1].payee_name == "收款人"


def test_gzip_is_known_by_its_bytes_not_by_its_name(imported: Any) -> None:
    result = imported(gzip.compress(b"id,day,who,sum\n1,2025-01-06,x,1\n"))
    assert result.summary.imported == 1


def test_numbers_that_may_be_accounts_are_masked_in_rejects(imported: Any) -> None:
    result = imported("id,day,who,sum\n1,2025-01-06,x,6222021234567890123X\n")
    assert result.rejects[0].detail == "amount `***************0123X`: not an amount"


# --- files that cannot be imported at all ---


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; expected a header line"),
        (b"\n\n", "the file is empty; expected a header line"),
        (b"PK\x03\x04rest", "an .xlsx workbook or another zip archive, not a text file; save the sheet as CSV"),
        (b"1,2025-01-06,x,1\n", "if its first line is no header, name the columns in order"),
        (b"id,day,woh,sum\n", "no column `who`; did you mean `woh`?"),
        (b"id,day,who,who,sum\n", "has 2 columns `who`, expected one"),
        (b"id,day,name,total\n", "no column `who`, `sum`; its first line is id, day, name, total"),
        ("id,day,收款人,sum\n".encode("gbk"), "not valid utf-8; declare its `encodings`"),
        (b'id,"day\n', "the header line cannot be read"),
        (gzip.compress(b"id,day,who,sum\n" + b"1,2025-01-06,x,1\n" * 9, mtime=0)[:-12], "the gzip file is damaged"),
        (gzip.compress(b"", mtime=0)[:12], "the gzip file is damaged"),
        (b"id,day,who,sum\n" + b"x" * (1 << 21), "line 2 is longer than"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_clear_line(imported: Any, content: bytes, message: str) -> None:
    with pytest.raises(ImportProblem) as caught:
        imported(content)
    assert message in str(caught.value)
    assert str(caught.value).split(": ")[0].endswith("export.csv")


def test_a_file_in_no_declared_encoding_is_refused(imported: Any) -> None:
    with pytest.raises(ImportProblem, match="not valid utf-8 or ascii; declare its `encodings`"):
        imported("id,day,收款人,sum\n".encode("gbk"), mapping_of("file: {encodings: [utf-8, ascii]}"))


def test_a_folder_or_an_absent_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(ImportProblem, match=str(path)):
            Imported(path, mapping_of())


def test_a_header_without_rows_imports_nothing(imported: Any) -> None:
    assert imported("id,day,who,sum\n").summary == ImportSummary(encoding="utf-8")


# --- mapping files ---

VALID = """
fields:
  instruction_id: id
  event_time: {column: day, formats: ["%Y-%m-%d"], zone: Asia/Shanghai, assume_time: 12:00}
  jurisdiction: {constant: 010101}
  budget_unit: {constant: NO}
  payment_mode: {constant: direct}
  settlement: {constant: transfer}
  amount: sum
"""


def test_unquoted_codes_times_and_words_of_a_mapping_stay_text(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(VALID, encoding="utf-8")
    fields = load_mapping(tmp_path / "m.yaml").fields
    assert (fields["jurisdiction"].constant, fields["budget_unit"].constant) == ("010101", "NO")
    assert str(fields["event_time"].assume_time) == "12:00:00"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("amount: sum", "amout: sum", "fields.amout: no such field; did you mean `amount`?"),
        ("amount: sum", "amout: sum", "fields.amount: missing; every instruction needs it"),
        ("fields:", "notse: [x]\nfields:", "notse: no such key; did you mean `notes`?"),
        ("fields:", "notes: x\nfields:", "notes: expected a list, such as [a, b], found `x`"),
        ("fields:", "file: {encodings: [utf-9]}\nfields:", "file.encodings.0: unknown encoding; try utf-8, gb18030"),
        ("fields:", "file: {delimiter: ';;'}\nfields:", "file.delimiter: expected one character, found `;;`"),
        ("amount: sum", "amount: {column: sum, unit: 角}", "fields.amount.unit: expected 元, 万元, 分, found `角`"),
        (
            "amount: sum",
            "amount: {column: sum, constant: 1}",
            "fields.amount: expected exactly one of column, constant",
        ),
        ("amount: sum", "amount: {column: sum, shift_weeks: 3}", "`formats` and `shift_weeks` are for dates and times"),
        ("amount: sum", "amount: {template: '{}'}", "fields.amount.template: a template names its columns: {column}"),
        (", assume_time: 12:00", "", "event_time: a format has no time of day: say which to assume with `assume_time`"),
        ("12:00", "25:00", "fields.event_time.assume_time: expected a time of day, such as 09:00, found `25:00`"),
        ("Asia/Shanghai", "Asia/Shangai", "unknown time zone; try Asia/Shanghai, found `Asia/Shangai`"),
        ("%Y-%m-%d", "%Y-%Q", "`%Y-%Q` is not a date format"),
        ("constant: direct", "constant: directly", "fields.payment_mode: `directly` is not one of direct, authorised"),
        ("amount: sum", "amount: sum\n  amount: sum", "m.yaml:10:3: `amount` is given twice"),
        ("amount: sum", "amount: [", "m.yaml:10:1: "),
    ],
)
def test_a_wrong_mapping_names_the_key_and_what_was_expected(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in VALID
    path = tmp_path / "m.yaml"
    path.write_text(VALID.replace(old, new), encoding="utf-8")
    with pytest.raises(ImportProblem) as caught:
        load_mapping(path)
    assert complaint in str(caught.value)
    assert all(line.startswith(str(path)) for line in str(caught.value).splitlines())


def test_a_constant_that_cannot_be_read_is_named(imported: Any) -> None:
    with pytest.raises(ImportProblem, match=r"fields\.amount\.constant `1\.234`: more precise than one fen"):
        imported("id,day,who,sum\n", mapping_of(amount={"constant": "1.234"}))


def test_an_unknown_mapping_lists_the_shipped_ones() -> None:
    with pytest.raises(ImportProblem, match=r"shipped mappings are .*purchase-cards-2010\.yaml"):
        load_mapping("purchase-cards.yaml")


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_mapping_is_valid_and_says_what_it_changes(name: str) -> None:
    assert load_mapping(name).notes


# --- whole files ---


@given(st.text(alphabet='a1,"\n\r\u00e9甲\x00- .;', max_size=200), st.sampled_from(["utf-8", "gb18030", "utf-16"]))
def test_whatever_the_file_holds_rows_are_imported_or_rejected(
    tmp_path_factory: pytest.TempPathFactory, body: str, encoding: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "export.csv"
    path.write_bytes(b"id,day,who,sum\n" + body.encode(encoding))
    mapping = mapping_of(
        "file: {encodings: [utf-8, gb18030]}",
        event_time={"constant": "2025-01-06", "formats": ["%Y-%m-%d"], "zone": "UTC", "assume_time": "09:00"},
        instruction_id={"template": "{row}"},
    )
    try:
        summary = Imported(path, mapping).summary
    except ImportProblem:
        return
    assert summary.rows == summary.imported + sum(summary.rejected.values())


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.csv.gz"
        with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as out:
            out.write("id,day,who,sum\n")
            out.writelines(f"{n},2025-01-06,收款人{n},{n}.50\n" for n in range(rows))
        with (tmp_path / "out").open("wb") as sink:
            tracemalloc.start()
            import_file(path, mapping_of(), sink, lambda reject: None)
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return most

    assert peak(20_000) < peak(2_000) + 200_000  # the larger file has 600 KB more of text


def test_progress_ends_at_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("id,day,who,sum\n" + "1,2025-01-06,x,1\n" * 5_000, encoding="utf-8")
    seen: list[tuple[int, int]] = []
    import_file(path, mapping_of(), io.BytesIO(), print, lambda done, total: seen.append((done, total)))
    size = path.stat().st_size
    assert seen == sorted(seen)
    assert len(seen) == 3
    assert seen[-1] == (size, size)


@pytest.mark.skipif(not DATA.exists(), reason=f"the real data are not at {DATA}")
@pytest.mark.parametrize(
    ("file", "mapping", "rows", "first", "last"),
    [
        ("government_purchase_cards_2010", "purchase-cards-2010", 95_076, "2025-01-03", "2026-01-02"),
        ("council_payments_2017_2018", "council-payments-2017-2018", 141_132, "2024-11-26", "2026-11-23"),
    ],
)
@pytest.mark.no_cover
def test_the_real_files_are_imported_whole(file: str, mapping: str, rows: int, first: str, last: str) -> None:
    out = io.BytesIO()
    summary = import_file(DATA / f"{file}.csv.gz", load_mapping(f"{mapping}.yaml"), out, print)
    assert (summary.rows, summary.imported, summary.rejected) == (rows, rows, Counter())
    assert summary.earliest is not None
    assert summary.latest is not None
    assert (str(summary.earliest.date()), str(summary.latest.date())) == (first, last)
    lines = out.getvalue().splitlines()
    assert len({json.loads(line)["instruction_id"] for line in lines}) == rows
    assert all(isinstance(decode(line), Instruction) for line in lines)
