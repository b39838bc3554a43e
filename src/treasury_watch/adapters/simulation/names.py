"""Chinese names that look real and mean nobody: a function of a number, the same in every run."""

from __future__ import annotations

_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂英华建国文辉玉梅红海燕志鹏晓东立新春生俊峰雪琴宁波宏斌佳慧思远"
_BRANDS = "恒达 瑞丰 鑫源 博雅 长兴 天宇 华盛 正泰 永固 中盛 康泰 金桥 宏远 嘉禾 锦程 安顺 祥云 卓越 荣光 润泽"
_PLACES = "云川 临江 东岭 西湾 南溪 安河 青石 云岭 白塔"
_DIGITS = "零一二三四五六七八九"

BRANDS = tuple(_BRANDS.split())
PLACES = tuple(_PLACES.split())


def mixed(number: int) -> int:
    """A number of 32 bits that follows from the given one without showing it (Knuth's multiplicative hash, twice)."""
    number = number * 2_654_435_761 & 0xFFFFFFFF
    return ((number >> 15) ^ number) * 2_246_822_519 & 0xFFFFFFFF


def person_name(number: int) -> str:
    """The name of a person, mostly of three characters."""
    draw = mixed(number)
    surname = _SURNAMES[draw % len(_SURNAMES)]
    draw //= len(_SURNAMES)
    first = _GIVEN[draw % len(_GIVEN)]
    draw //= len(_GIVEN)
    return surname + first if draw % 5 == 0 else surname + first + _GIVEN[draw // 5 % len(_GIVEN)]


COMPANIES = len(BRANDS) ** 2 * len(PLACES)  # names of one trade


def company_name(number: int, trade: str) -> str:
    """The name of a company of that trade; `number` is below COMPANIES."""
    number, brand = divmod(number, len(BRANDS))
    second, place = divmod(number, len(PLACES))
    return f"{PLACES[place]}{BRANDS[brand]}{BRANDS[second] if second != brand else ''}{trade}有限公司"


def numbered(number: int) -> str:
    """第一, 第二 … 第十二 … as institutions are numbered, up to 99; plain digits above."""
    return "第" + _ordinal(number)


def _ordinal(number: int) -> str:
    if number > 99:
        return str(number)
    tens, ones = divmod(number, 10)
    head = ("" if tens == 1 else _DIGITS[tens]) + "十" if tens else ""
    return head + (_DIGITS[ones] if ones else "")


def account_number(prefix: str, number: int) -> str:
    """An account number of 19 digits; one that begins with 99 belongs to no bank."""
    return f"{prefix}{number:0{19 - len(prefix)}d}"


def check_digit(body: str) -> str:
    """The Luhn digit that completes a number (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(map(int, reversed(body))):
        doubled = digit * 2 if place % 2 == 0 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)
