"""Messages as they come: what is accepted, what is refused and how the refusal reads."""

from __future__ import annotations

import json
import sys
import unicodedata
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tests.builders import SHANGHAI, make_instruction
from treasury_watch.adapters import wire
from treasury_watch.adapters.messages import (
    PUBLISHED,
    CaseMessage,
    DecisionMessage,
    DispositionMessage,
    PaymentInstruction,
    schema_text,
)
from treasury_watch.domain.payment import FIELDS, Instruction, Kind
from treasury_watch.domain.verdict import Anomaly, Decision, Driver, Excepted, Hit, Refusal, Text

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"

FULL = make_instruction(
    schema_version=1,
    fiscal_year=2025,
    voucher_no="V-7",
    voucher_date=date(2025, 3, 4),
    batch_id="B-1",
    line_no=-3,
    unit_level="county",
    department="教育",
    payer_account_name="市教育局零余额户",
    payer_account_kind="zero_balance",
    payer_bank="工商银行",
    payee_bank="建设银行",
    payee_bank_code="105521000012",
    currency="CNY",
    fund_type="一般公共预算",
    function_class="2050201",
    economic_class="50201",
    department_economic_class="30201",
    project="办学条件改善",
    allotment_ref="鄂财预〔2025〕1号",
    card_no="6222020200001234",
    card_holder="王芳",
    procurement_id="P-1",
    contract_no="C-1",
    invoice_no="F-1",
    cashier="赵六",
    corrects="PI-0000",
    green_channel=True,
    attributes={"街道": "花桥", "urgent": False, "count": 2, "share": 0.5},
)
DECISION = Decision(
    schema_version=1,
    decision_id="d1",
    instruction_id="PI-0001",
    jurisdiction="420100",
    budget_unit="101001",
    amount="60000.00",
    currency="CNY",
    event_time=datetime(2025, 3, 5, 10, 15, tzinfo=SHANGHAI),
    verdict="intercept",
    evidence_required=False,
    late=False,
    hits=(
        Hit("CARD-001", 2, "intercept", "live", "red", "RP-12", Text("超限", "over the limit"), {"total": "60000.00"}),
        Hit(
            "CASH-001", 1, "warn", "live", "blue", None, Text("现金", "cash"), {},
            missing=("payee_kind",), excepted=Excepted("财政局", "专项", "2025-12-31"),
        ),
    ),
    anomaly=Anomaly(
        14.2, 0.0008, True, "TailSurprise/1", (Driver("pair_amount", 8.1, 6.9, Text("平常的 38 倍", "38 times")),)
    ),
    ruleset="sha256:00",
    reference="sha256:11",
    engine="0.1.0",
)  # fmt: skip


def message(**changes: Any) -> bytes:
    """The ordinary message with fields replaced; `...` removes one."""
    fields = json.loads(wire.encode_instruction(make_instruction())) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}, ensure_ascii=False).encode()


def refusal(value: bytes | None) -> Refusal:
    outcome = wire.decode(value)
    assert isinstance(outcome, Refusal)
    return outcome


def accepted(value: bytes) -> Instruction:
    outcome = wire.decode(value)
    assert isinstance(outcome, Instruction)
    return outcome


# --- fields ---


def test_model_struct_and_field_table_name_the_same_fields() -> None:
    assert set(PaymentInstruction.model_fields) == set(Instruction.__struct_fields__) == {*FIELDS, "attributes"}


def test_model_struct_and_field_table_list_the_same_values() -> None:
    hints = {each.name: each.type for each in msgspec.structs.fields(Instruction)}
    for name, field in FIELDS.items():
        if field.kind is Kind.ENUM:
            (literal,) = [hints[name]] if get_args(hints[name])[0] in field.values else get_args(hints[name])[:1]
            assert list(get_args(literal)) == list(field.values)


@pytest.mark.parametrize("name", Instruction.__struct_fields__)
def test_every_field_survives_the_round_trip(name: str) -> None:
    for instruction in (FULL, make_instruction(**{name: getattr(FULL, name)})):
        back = accepted(wire.encode_instruction(instruction))
        assert getattr(back, name) == getattr(FULL, name)
        assert back == instruction == wire.reference(wire.encode_instruction(instruction))


@pytest.mark.parametrize(
    "name", [each for each, field in PaymentInstruction.model_fields.items() if not field.is_required()]
)
def test_a_null_optional_field_is_the_same_as_an_absent_one(name: str) -> None:
    assert accepted(message(**{name: None})) == accepted(message(**{name: ...}))


def test_a_null_required_field_is_refused() -> None:
    assert refusal(message(amount=None)).detail.startswith("amount: expected decimal text")
    assert refusal(message(amount=None)).detail.endswith("found null")


def test_event_time_keeps_its_offset_to_the_microsecond() -> None:
    found = accepted(message(event_time="2025-03-05T10:15:00.123456+08:00")).event_time
    assert found == datetime(2025, 3, 5, 2, 15, 0, 123456, tzinfo=UTC)
    assert found.utcoffset() == timedelta(hours=8)


@pytest.mark.parametrize("year", ["1900", "9998"])
def test_years_in_range_are_accepted(year: str) -> None:
    assert accepted(message(event_time=f"{year}-06-01T00:00:00Z")).event_time.year == int(year)


@pytest.mark.parametrize("year", ["1899", "9999"])
def test_years_out_of_range_are_refused(year: str) -> None:
    assert "event_time" in refusal(message(event_time=f"{year}-06-01T00:00:00Z")).detail


@pytest.mark.parametrize("amount", ["0.00", "-0.01", "9999999999999999.99", "-9999999999999999.99"])
def test_amounts_of_the_contract_are_accepted(amount: str) -> None:
    assert accepted(message(amount=amount)).amount == amount


@pytest.mark.parametrize(
    "amount", ["10000000000000000.00", "1.0", "1.000", "1", ".50", "+1.00", "1,000.00", "１.00", "", "1.00\n"]
)
def test_other_amount_texts_are_refused(amount: str) -> None:
    assert refusal(message(amount=amount)).reason == "schema"


@pytest.mark.parametrize("amount", [1234.5, 1234, True, ["1.00"]])
def test_money_is_never_a_json_number(amount: object) -> None:
    assert refusal(message(amount=amount)).reason == "schema"


def test_the_last_of_two_equal_keys_counts() -> None:
    twice = message(amount=...)[:-1] + b',"amount":1,"amount":"2.00"}'
    assert accepted(twice).amount == "2.00"


def test_a_null_local_field_is_missing_and_a_nested_one_is_refused() -> None:
    assert accepted(message(attributes={"a": None, "b": "x"})).attributes == {"b": "x"}
    assert 'attributes."a": expected text' in refusal(message(attributes={"a": {"b": 1}})).detail


def test_whole_numbers_of_64_bits_are_local_fields_and_larger_ones_are_refused() -> None:
    fits = {"most": 2**63 - 1, "least": -(2**63)}
    assert accepted(message(attributes=fits)).attributes == fits
    for value in (2**63, -(2**63) - 1):
        assert refusal(message(attributes={"a": value})).detail.endswith("found a number")


# --- unknown fields ---


def test_unknown_fields_are_ignored_and_counted() -> None:
    decoded = wire.decode_batch([message(x=1, y=[2]), message(), message(x="1", amount=1)])
    assert [type(each) for each in decoded.outcomes] == [Instruction, Instruction, Refusal]
    assert decoded.outcomes[0] == decoded.outcomes[1]
    assert decoded.unknown == {"x": 2, "y": 1}


def test_the_names_of_unknown_fields_are_counted_up_to_a_bound() -> None:
    values = [message(**{f"x{number}": 0}) for number in range(150)]
    unknown = wire.decode_batch([*values, values[0]]).unknown
    assert len(unknown) == wire.UNKNOWN_NAMES + 1
    assert unknown[wire.OTHER_NAMES] == 50
    assert unknown["x0"] == 2


def test_an_unknown_name_that_cannot_be_written_out_is_counted_all_the_same() -> None:
    unknown = wire.decode_batch([message()[:-1] + b',"\\ud800":1}']).unknown
    assert unknown == {"?": 1}


# --- refusals ---


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (None, "the message is empty"),
        (b"", "the message is empty"),
        (b" \n", "the message is empty"),
        (b"\xff{}", "not UTF-8 at byte 0"),
        (b"\xef\xbb\xbf{}", "starts with a byte order mark, which JSON does not allow"),
        (b'{"a":1', "Expecting ',' delimiter at column 7"),
        (b'{"a":1}\n}', "Extra data at line 2 column 1"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":' + b"[" * 30_000, "arrays and objects nested deeper than 64"),
    ],
)
def test_what_is_not_json_is_refused_with_the_place(value: bytes | None, detail: str) -> None:
    assert refusal(value) == Refusal("malformed_json", detail)


def test_unknown_fields_may_nest_64_deep_and_no_deeper() -> None:
    for brackets in (62, 63):
        accepted(message()[:-1] + b',"x":' + b"[" * brackets + b"]" * brackets + b"}")
    assert refusal(message()[:-1] + b',"x":' + b"[" * 64 + b"]" * 64 + b"}").reason == "malformed_json"
    accepted(message(purpose="[" * 100, x=[]))


@pytest.mark.parametrize("value", [b"[]", b'"x"', b"1", b"null"])
def test_json_that_is_no_object_is_refused(value: bytes) -> None:
    assert refusal(value).reason == "schema"


@pytest.mark.parametrize("field", ["payee_account", "payee_name", "purpose"])
def test_a_text_that_grows_beyond_64_kib_in_normal_form_is_too_large(field: str) -> None:
    """What is remembered of a payment is in one record of the state, and U+FDFA is 18 characters in NFKC: one such
    message would stop the worker of its partition for good.
    """
    fits, grows = "\ufdfa" * 1_900, "\ufdfa" * 2_200  # 33 bytes each, without the three spaces of an account 30
    assert isinstance(wire.decode(message(**{field: fits})), Instruction)
    assert refusal(message(**{field: grows})) == Refusal(
        "too_large", "more than 65536 bytes in the form in which accounts and names are compared"
    )
    assert refusal(message(new=None, unknown="x", **{field: grows})).reason == "too_large"


def test_no_text_of_an_ordinary_message_grows_beyond_64_kib() -> None:
    def size(text: str) -> int:
        return len(text.encode())

    everything = (chr(each) for each in range(sys.maxunicode + 1) if not 0xD800 <= each < 0xE000)
    most = max(size(unicodedata.normalize("NFKC", each)) / size(each) for each in everything)
    assert most * wire.ORDINARY_BYTES <= wire.MAX_BYTES


@pytest.mark.parametrize("field", ["payee_account", "payee_name", "purpose"])
@pytest.mark.parametrize(
    "marks", ["\u0301\u0327", "\u0f73", "\uff9e\u0301", "\u0301\u200b\u0327", "\u0301-\u0327", "\u00a8\u0327"]
)
def test_marks_that_pile_up_are_refused_since_their_order_takes_time_by_the_square(field: str, marks: str) -> None:
    assert refusal(message(**{field: "a" + marks * 1_000})) == Refusal(
        "schema", f"{field}: expected at most 30 combining marks in a row"
    )
    assert isinstance(wire.decode(message(**{field: ("a" + marks * 10) * 30})), Instruction)


def test_messages_of_64_kib_are_accepted_and_one_byte_more_is_too_large() -> None:
    room = 65_536 - len(message(purpose=""))
    assert accepted(message(purpose="x" * room)).purpose == "x" * room
    assert refusal(message(purpose="x" * (room + 1))) == Refusal("too_large", "more than 65536 bytes")


def test_a_refusal_names_every_wrong_field_and_what_was_expected() -> None:
    assert refusal(message(settlement="wire", budget_unit=..., voucher_date="5.3.2025")).detail == (
        'voucher_date: expected a date such as "2025-03-05", found "5.3.2025"; '
        "budget_unit: missing, expected text that is not empty; "
        'settlement: expected one of transfer, cash, cash_cheque, cheque, official_card, other, found "wire"'
    )


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "schema_version"])
def test_a_refusal_shows_no_account_number_wherever_it_stands(name: str) -> None:
    number = 62220202000012345678
    for value in (number, [str(number)], {"no": [number]}):
        detail = refusal(message(**{name: value})).detail
        assert name in detail
        assert "6222" not in detail


@pytest.mark.parametrize("value", ["6222020200001234567", "6222 0202 0000 1234 567", "6222-0202-0000-1234"])
def test_a_refusal_masks_an_account_number_in_the_wrong_field(value: str) -> None:
    for name in ("amount", "settlement", "event_time"):
        assert "6222" not in refusal(message(**{name: value})).detail


def test_a_refusal_stays_on_one_line_and_short() -> None:
    detail = refusal(message(settlement="a\nb", amount="x" * 60_000, attributes={"k" * 5000: []})).detail
    assert "\n" not in detail
    assert len(detail) < 600


# --- decisions ---


def test_a_decision_reads_back_as_it_was_written() -> None:
    back = wire.decode_decision(wire.stamp(wire.encode_decision(DECISION), "2025-03-05T02:15:00.123Z"))
    assert {name: getattr(back, name) for name in Decision.__struct_fields__} == msgspec.structs.asdict(DECISION)
    assert back.decided_at == "2025-03-05T02:15:00.123Z"
    assert back.instruction is None


def test_a_case_carries_the_instruction() -> None:
    back = wire.decode_decision(wire.stamp(wire.encode_case(DECISION, FULL), "2025-03-05T02:15:00.123Z"))
    assert back.instruction == FULL
    assert back.hits == DECISION.hits


def test_the_stamp_is_all_that_a_decision_gains_on_a_topic() -> None:
    plain = json.loads(wire.encode_decision(DECISION))
    stamped = json.loads(wire.stamp(wire.encode_decision(DECISION), "2025-03-05T02:15:00Z"))
    assert stamped == plain | {"decided_at": "2025-03-05T02:15:00Z"}


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"\xff", b'{"decision_id":1}'])
def test_what_is_no_decision_is_told_in_one_line(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        wire.decode_decision(value)


def test_published_decisions_and_cases_keep_to_the_published_models() -> None:
    model = DecisionMessage.model_validate_json(wire.encode_decision(DECISION))
    assert [each.rule for each in model.hits] == ["CARD-001", "CASH-001"]
    case = CaseMessage.model_validate_json(wire.stamp(wire.encode_case(DECISION, FULL), "2025-03-05T02:15:00Z"))
    assert case.instruction.attributes == FULL.attributes
    assert set(json.loads(wire.encode_decision(DECISION))) == set(DecisionMessage.model_fields) - {"decided_at"}


def test_a_disposition_of_the_contract_keeps_to_its_model() -> None:
    text = (
        '{"schema_version":1,"disposition_id":"x","instruction_id":"PI-0001","jurisdiction":"420100","decision_id":"d1",'
        '"disposition":"release","decided_by":"李强","decided_at":"2025-03-05T11:00:00+08:00","reason":"核实无误","label":null}'
    )
    assert DispositionMessage.model_validate_json(text).disposition == "release"


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_schema_is_in_step(name: str) -> None:
    committed = (SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(name), "run: python -m treasury_watch.adapters.messages docs/schemas"


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_field_of_a_schema_is_described_in_both_languages(name: str) -> None:
    schema = json.loads(schema_text(name))
    for each in [schema, *schema.get("$defs", {}).values()]:
        for described in [each, *each["properties"].values()]:
            text = described.get("description", "") or described["$ref"]
            assert "$ref" in described or (not text.isascii() and " · " in text)
