"""The payment instruction: its fields, its amounts and times, and the forms in which texts are compared and shown."""

from __future__ import annotations

import typing
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import make_instruction
from treasury_watch.domain import payment
from treasury_watch.domain.payment import (
    AMOUNT,
    FIELDS,
    Instruction,
    Kind,
    account_form,
    fen_of,
    field_of,
    masked,
    microseconds,
    moment_of,
    name_form,
    partition_key_of,
)

# --- fields ---


def test_the_table_of_fields_has_every_field_of_an_instruction_and_no_other() -> None:
    assert {*FIELDS, "attributes"} == set(Instruction.__struct_fields__)


def test_every_field_is_named_by_itself_and_in_chinese() -> None:
    for name, field in FIELDS.items():
        assert field.name == name
        assert field.zh
        assert not field.zh.isascii()


def test_the_words_of_a_closed_set_are_those_of_its_type_each_with_a_label() -> None:
    types = typing.get_type_hints(Instruction)
    for name, field in FIELDS.items():
        literals = {
            word
            for each in (types[name], *typing.get_args(types[name]))
            if typing.get_origin(each) is typing.Literal
            for word in typing.get_args(each)
            if isinstance(word, str)
        }
        assert set(field.values) == literals, name
        assert (field.kind is Kind.ENUM) == bool(literals), name
        assert all(field.values.values()), name


def test_a_required_field_is_never_missing() -> None:
    """Either the message has it, or it has a default; an amount can be missing for want of an exchange rate."""
    instruction = Instruction("PI", datetime(2025, 1, 1, tzinfo=UTC), "J", "B", "0.01", "direct", "cash")
    defaulted = {"fiscal_year", "currency"}
    for name, field in FIELDS.items():
        present = getattr(instruction, name) is not None or name in defaulted
        assert field.required == (present and name != "amount"), name


def test_a_local_field_is_an_attribute_of_any_name() -> None:
    field = field_of("attributes.批次.号")
    assert field is not None
    assert (field.kind, field.name, field.required) == (Kind.ATTRIBUTE, "attributes.批次.号", False)


@pytest.mark.parametrize("name", ["attributes", "attributes.", "Amount", "", "amount.x"])
def test_what_the_contract_does_not_name_is_no_field(name: str) -> None:
    assert field_of(name) is None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("jurisdiction", "420100"),
        ("voucher_date", "2025-01-31"),
        ("line_no", "-7"),
        ("green_channel", "false"),
        ("attributes.街道", "江汉"),
        ("attributes.n", "0.5"),
        ("attributes.urgent", "true"),
        ("attributes.none", None),
        ("project", None),
    ],
)
def test_a_partition_key_is_the_field_as_text(name: str, key: str | None) -> None:
    instruction = make_instruction(
        voucher_date=date(2025, 1, 31), line_no=-7, attributes={"街道": "江汉", "n": 0.5, "urgent": True}
    )
    assert partition_key_of(instruction, name) == key


def test_without_local_fields_no_partition_key_is_found_among_them() -> None:
    assert partition_key_of(make_instruction(), "attributes.x") is None


def test_the_year_of_a_payment_has_four_digits_at_most() -> None:
    message = msgspec.json.encode(make_instruction(fiscal_year=9999))
    assert msgspec.json.decode(message, type=Instruction).fiscal_year == 9999
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(message.replace(b"9999", b"10000"), type=Instruction)


# --- amounts and times ---


@pytest.mark.parametrize(
    ("amount", "fen"),
    [
        ("0.00", 0),
        ("0.01", 1),
        ("-0.01", -1),
        ("-1234.50", -123450),
        ("9999999999999999.99", 999999999999999999),
        ("-9999999999999999.99", -999999999999999999),
    ],
)
def test_an_amount_is_an_exact_count_of_fen(amount: str, fen: int) -> None:
    assert AMOUNT.fullmatch(amount)
    assert fen_of(amount) == fen
    assert Decimal(fen).scaleb(-2) == Decimal(amount)


@pytest.mark.parametrize(
    "text", ["1", "1.0", "1.000", "+1.00", ".50", "1,000.00", "1e3", "10000000000000000.00", "１.00"]
)
def test_what_has_not_two_places_is_no_amount(text: str) -> None:
    assert not AMOUNT.fullmatch(text)


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_fen_of_yuan_are_the_fen_they_were_made_of(fen: int) -> None:
    assert fen_of(str(Decimal(fen).scaleb(-2))) == fen


@pytest.mark.parametrize(
    ("moment", "us"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), -1),
        (datetime(1, 1, 1, tzinfo=UTC), -62_135_596_800_000_000),
        (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), 253_402_300_799_999_999),
        (datetime(2025, 3, 5, 8, 0, 0, 1, tzinfo=timezone(timedelta(hours=8))), 1_741_132_800_000_001),
    ],
)
def test_microseconds_are_exact_in_every_year(moment: datetime, us: int) -> None:
    assert microseconds(moment) == us
    assert moment_of(us) == moment


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-12)), timezone(timedelta(minutes=345))])))
def test_a_time_survives_the_way_through_microseconds(moment: datetime) -> None:
    us = microseconds(moment)
    if -62_135_596_800_000_000 <= us <= 253_402_300_799_999_999:
        assert moment_of(us) == moment
    else:
        with pytest.raises(OverflowError):
            moment_of(us)


# --- forms ---


@pytest.mark.parametrize(
    "written",
    [
        "6222020200112233",
        "6222 0202 0011 2233",
        " 6222-0202-0011-2233 ",
        "６２２２０２０２００１１２２３３",  # full width
        "6222　0202　0011　2233",  # ideographic spaces
        "6222\u00a00202\u20090011\t2233\n",
        "6222‐0202‑0011‒2233",  # hyphen, non-breaking hyphen, figure dash
        "6222–0202—0011―2233",  # en dash, em dash, bar
        "6222−0202－0011﹣2233",  # minus, full-width and small hyphens
    ],
)
def test_an_account_is_compared_without_spaces_and_hyphens(written: str) -> None:
    assert account_form(written) == "6222020200112233"


def test_letters_of_an_account_keep_their_case() -> None:
    assert account_form("ＧＢ12 abc") == "GB12abc"


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("江汉办公用品有限公司", "江汉办公用品有限公司"),
        (" 江汉  办公　用品\t有限公司\n", "江汉 办公 用品 有限公司"),
        ("ＡＢＣ（武汉）", "ABC(武汉)"),
        ("①号仓库", "1号仓库"),
        ("Zhang-San", "Zhang-San"),
        ("　", ""),
        ("", ""),
    ],
)
def test_a_name_is_compared_in_nfkc_with_single_spaces(written: str, form: str) -> None:
    assert name_form(written) == form


# What is combined with what is before it, half-width kana and parts of Hangul, with what is left out between them.
CHARACTERS = st.text(
    st.sampled_from("aＡe0１９ 　-－‐—−中（）·\t\u0301\u0327か\u3099ｶﾞ\u1100\u1161\u11a8\u200b\u202a\ufe00\x01"),
    max_size=12,
)


@given(CHARACTERS)
def test_a_form_is_its_own_form(text: str) -> None:
    assert account_form(account_form(text)) == account_form(text)
    assert name_form(name_form(text)) == name_form(text)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("6222020200112233", "************2233"),
        ("12345", "*2345"),
        ("1234", "****"),
        ("12", "**"),
        ("", ""),
        ("账号一二三四五", "***二三四五"),
    ],
)
def test_a_number_is_shown_by_its_last_four_characters_if_it_has_more(number: str, shown: str) -> None:
    assert masked(number) == shown


# --- the instruction itself ---


def test_an_instruction_cannot_be_changed_and_has_no_other_fields() -> None:
    instruction = make_instruction()
    with pytest.raises(AttributeError):
        instruction.amount = "2.00"  # type: ignore[misc]
    with pytest.raises(msgspec.ValidationError, match="unknown"):
        msgspec.json.decode(msgspec.json.encode(instruction)[:-1] + b',"unknown":1}', type=Instruction)


def test_what_is_missing_is_left_out_of_a_message() -> None:
    message = msgspec.json.decode(msgspec.json.encode(make_instruction()))
    assert "project" not in message
    assert "green_channel" not in message
    assert message["purpose"] == "办公用品采购"


def test_cny_is_the_home_currency() -> None:
    assert payment.HOME_CURRENCY == "CNY"


@pytest.mark.parametrize(
    "hidden",
    [
        *("\u200b", "\u00ad", "\u2060", "\ufeff", "\u200f"),
        *("\u202a", "\u202c", "\u202e", "\u2066", "\u2069", "\u061c"),  # marks of direction
        *("\u2063", "\u206f", "\u034f", "\u180e"),  # operators and joiners that show nothing
        *("\ufe00", "\ufe0f", "\u180b", "\U000e0100"),  # which glyph is to be shown
        *("\x00", "\x1b", "\x7f", "\x9f", "\U000e0041"),  # controls and tags
    ],
)
def test_what_cannot_be_seen_makes_no_other_account_or_name(hidden: str) -> None:
    assert account_form(f"6222{hidden}0202") == account_form(f"{hidden}62220202{hidden}") == "62220202"
    assert name_form(f"江汉{hidden}办公") == name_form(f"{hidden}江汉办公{hidden}") == "江汉办公"


@pytest.mark.parametrize("hidden", ["\u200b", "\u202a", "\ufe00"])
def test_what_cannot_be_seen_keeps_nothing_apart(hidden: str) -> None:
    assert account_form(f"e{hidden}\u0301") == name_form(f"e{hidden}\u0301") == "é"
    assert account_form(f"ｶ{hidden}ﾞ") == name_form(f"ｶ{hidden}ﾞ") == "ガ"


def test_a_gap_in_an_account_keeps_nothing_apart() -> None:
    assert account_form("ｶ ﾞ") == account_form("ｶ-ﾞ") == "ガ"
