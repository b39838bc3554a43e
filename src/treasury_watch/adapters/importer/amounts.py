"""Amounts as people and spreadsheets write them, read exactly to the fen."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

UNITS = {"元": 2, "万元": 6, "分": 0}  # unit → how many decimal places of it make one fen

_PLAIN = re.compile(r"(-?)(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?")
_GROUPED = re.compile(r"()([0-9]{1,3}(?:,[0-9]{3})+)(?:\.([0-9]*))?")
_ROUNDED = re.compile(r"[0-9.]+[eE][+-]?[0-9]+")
_CURRENCY = re.compile(r"^(?:CNY|RMB|USD|GBP|EUR|人民币|[¥$£€])\s*|\s*(?:CNY|RMB|USD|GBP|EUR|元|圆)$", re.IGNORECASE)


def amount_reader(unit: str) -> Callable[[str], str]:
    """Reads amounts given in `unit` (元, 万元, 分) to the decimal yuan text of the contract, such as "-1234.50".

    Understood besides plain digits: thousands separators in groups of three, full-width digits and signs, a currency
    sign or code, a leading + or any Unicode minus, a trailing minus, and parentheses for a negative amount. Not
    covered: a decimal comma. The reader raises ValueError with one sentence where the text is not an exact number of
    fen: nothing is ever rounded.
    """
    places = UNITS[unit]

    def read(text: str) -> str:
        plain = _PLAIN.fullmatch(text)
        sign, whole, fraction = plain.groups("") if plain else _parts(text)
        if len(fraction) > places:
            if fraction[places:].strip("0"):
                raise ValueError(f"more precise than one fen ({unit}: at most {places} decimal places)")
            fraction = fraction[:places]
        fen = whole + fraction.ljust(places, "0")
        yuan = fen[:-2].lstrip("0") or "0"
        if len(yuan) > 16:
            raise ValueError("larger than the contract allows (16 digits of yuan)")
        result = f"{yuan}.{fen[-2:].rjust(2, '0')}"
        return "-" + result if sign and result != "0.00" else result

    return read


def _parts(text: str) -> tuple[str, str, str]:
    """Sign, whole digits and decimal digits of an amount in any other form."""
    rest, signs = unicodedata.normalize("NFKC", text).replace("−", "-").strip(), ""
    before = ""
    while rest != before:  # ¥-5, -¥5, (¥5), ¥(5), 5元-: signs and currency in any order
        before, rest = rest, _CURRENCY.sub("", rest)
        if rest[:1] in ("+", "-"):
            signs, rest = signs + rest[0], rest[1:]
        elif rest.endswith("-"):
            signs, rest = signs + "-", rest[:-1]
        elif rest.startswith("(") and rest.endswith(")"):
            signs, rest = signs + "-", rest[1:-1]
        rest = rest.strip()
    if len(signs) > 1:
        raise ValueError("has more than one sign")
    if _ROUNDED.fullmatch(rest):
        raise ValueError("in scientific notation, rounded by a spreadsheet: export the column as text")
    found = _PLAIN.fullmatch(rest) or _GROUPED.fullmatch(rest)
    if not found:
        raise ValueError("not an amount")
    return signs.replace("+", ""), found[2].replace(",", ""), found[3] or ""
