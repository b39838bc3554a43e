"""What texts say, or fail to say: luxuries (row 15), payment data (row 17), purposes that belong elsewhere (row 18)."""

from __future__ import annotations

from treasury_watch.adapters.simulation.payments import Draft, Payments
from treasury_watch.adapters.simulation.violations.plan import Kind, Plant, one

LUXURY = 100_000  # fen

_LUXURIES = (
    *("购买白酒两箱", "接待用香烟和茶叶", "购买高档茶具", "职工旅游费", "会所餐费", "购买纪念品"),
    *("购买工艺品摆件", "足疗按摩费用", "娱乐活动费用", "购月饼礼盒"),
)
_NO_LUXURIES = (
    *("活动工作人员酒店住宿费", "烟台考察资料打印", "购买酒精消毒液", "文化和旅游宣传册制作", "社会所需资料购买"),
    *("更换烟感探测器", "酒驾检测仪校准"),
)


def _luxury(rule_id: str | None, purposes: tuple[str, ...], low: int, high: int) -> Plant:
    def draft(payments: Payments) -> Draft:
        fen = payments.chance.between(low, high)
        return payments.purchase(payments.unit(), ("30299", "50299"), payments.chance.pick(purposes), fen)

    return one(rule_id, draft)


def _changed(rule_id: str | None, **fields: str | None) -> Plant:
    """A purchase with some fields replaced; its payee is paid nothing else, so that no account seems to change."""

    def draft(payments: Payments) -> Draft:
        fen = payments.chance.between(20_000, 400_000)
        return payments.purchase(payments.unit(), _OFFICE, "购买办公用品", fen) | fields

    return one(rule_id, draft)


def _under(rule_id: str | None, subjects: tuple[str, str], *purposes: str) -> Plant:
    """A purchase for that purpose under those subjects."""

    def draft(payments: Payments) -> Draft:
        fen = payments.chance.between(20_000, 400_000)
        return payments.purchase(payments.unit(), subjects, payments.chance.pick(purposes), fen)

    return one(rule_id, draft)


_OFFICE, _TRAVEL, _ABROAD = ("30201", "50201"), ("30211", "50201"), ("30212", "50207")
_MEETING, _RECEPTION, _VEHICLES = ("30215", "50202"), ("30217", "50206"), ("30231", "50208")

KINDS = (
    Kind(
        "luxury_words",
        15,
        _luxury("WORDS-001", _LUXURIES, LUXURY, 10 * LUXURY),
        _luxury(None, _NO_LUXURIES, LUXURY, 10 * LUXURY),
    ),
    Kind(
        "luxury_words_at_1000",
        15,
        _luxury("WORDS-001", _LUXURIES, LUXURY, LUXURY),
        _luxury(None, _LUXURIES, LUXURY - 1, LUXURY - 1),
    ),
    Kind("no_purpose", 17, _changed("DATA-001", purpose=None)),
    Kind("no_payee_name", 17, _changed("DATA-002", payee_name=None)),
    Kind("no_payee_account", 17, _changed("DATA-003", payee_account=None)),
    Kind(
        "payee_account_that_is_none",
        17,
        _changed("DATA-004", payee_account="9933#0012?"),
        _changed(None, payee_account="9933 0000-0123 4567"),
    ),
    Kind("purpose_without_chinese", 17, _changed("TEXT-001", purpose="20260302"), _changed(None, purpose="20260302款")),
    Kind("payee_name_without_chinese", 17, _changed("TEXT-002", payee_name="A-1024")),
    Kind("garbled_purpose", 17, _changed("TEXT-003", purpose="购买办公???品"), _changed(None, purpose="购买办公?品")),
    Kind("garbled_payee_name", 17, _changed("TEXT-004", payee_name="云川恒达*有限公司")),
    Kind(
        "reception_elsewhere",
        18,
        _under("SUBJECT-001", _OFFICE, "上级检查组公务接待餐费"),
        _under(None, _RECEPTION, "上级检查组公务接待餐费"),
    ),
    Kind(
        "vehicle_elsewhere",
        18,
        _under("SUBJECT-002", _TRAVEL, "公务用车燃油费", "公务用车维修费"),
        _under(None, _VEHICLES, "公务用车过路费"),
    ),
    Kind(
        "meeting_elsewhere",
        18,
        _under("SUBJECT-003", _OFFICE, "年度工作会议费"),
        _under(None, _OFFICE, "年度会议室桌牌"),
    ),
    Kind(
        "travel_elsewhere",
        18,
        _under("SUBJECT-004", _OFFICE, "下乡调研差旅费"),
        _under(None, _TRAVEL, "下乡调研差旅费"),
    ),
    Kind(
        "abroad_elsewhere",
        18,
        _under("SUBJECT-005", _OFFICE, "因公出国考察费"),
        _under(None, _ABROAD, "因公出国考察费"),
    ),
    Kind(
        "travel_pays_else",
        18,
        _under("SUBJECT-006", _TRAVEL, "购买复印纸", "打印机耗材"),
        _under(None, _OFFICE, "购买复印纸"),
    ),
)
