"""Panels of cases that stand on more than one dashboard."""

from __future__ import annotations

from typing import Final

from grafana.generator.panels import Column, Lines, Named, Stat, Table
from grafana.generator.periods import DAYS, MOMENTS, ZONE
from grafana.generator.queries import Sql
from grafana.generator.texts import Text
from grafana.generator.vocabulary import CASES, LEVELS, MONEY, STATUSES

HELD: Final = "verdict IN ('intercept', 'prohibit')"

HELD_NOW: Final = Stat(
    Text("当前在拦", "Held now"),
    Text(
        "已拦截或禁止、尚未处置的支付，不限时段。",
        "Payments intercepted or prohibited that nobody has decided yet, of any time.",
    ),
    "none",
    (Sql("SELECT coalesce(sum(payments), 0) AS payments FROM cases.amounts_held"),),
    thresholds=((1, "orange"), (100, "red")),
    decimals=0,
)

_AMOUNT_HELD: Final = "SELECT coalesce({}, 0) AS amount FROM cases.amounts_held WHERE currency = 'CNY'"

AMOUNT_HELD_NOW: Final = Stat(
    Text("当前在拦金额", "Amount held now"),
    Text(
        "当前在拦支付的金额合计（人民币），退款不计，不限时段。",
        "Yuan of the payments that are held now, refunds counted as nothing, of any time. Other currencies are not"
        " in it.",
    ),
    MONEY,
    (Sql(Text(_AMOUNT_HELD.format("sum(amount) / 10000"), _AMOUNT_HELD.format("sum(amount)"))),),
    thresholds=((0.01, "orange"),),
    decimals=2,
)

BY_HOUR: Final = Lines(
    Text("各小时预警与拦截", "Warned and held by hour"),
    Text(
        "按支付提交时间统计的预警与拦截笔数；底色为工作时间，节假日与调休按规则集的日历，未知年份按周一至周五。",
        "Payments warned and held, by the hour in which they were submitted; shaded are working hours, with the"
        " holidays of the rule set's calendar; Monday to Friday in years that it does not know.",
    ),
    "none",
    (
        Sql(
            f"""
WITH counted AS (
  SELECT
    date_trunc('hour', event_time) AS hour,
    count(*) FILTER (WHERE verdict = 'warn') AS warned,
    count(*) FILTER (WHERE {HELD}) AS held
  FROM cases.all_cases WHERE {MOMENTS} GROUP BY 1
)
SELECT
  hour AS time,
  coalesce(warned, 0) AS warned,
  coalesce(held, 0) AS held,
  (
    coalesce(calendar.working, extract(isodow FROM local) < 6)
    AND extract(hour FROM local) IN (9, 10, 11, 14, 15, 16, 17)
  )::int AS working
FROM generate_series(
  date_trunc('hour', $__timeFrom()::timestamptz), $__timeTo()::timestamptz, interval '1 hour'
) AS hour
CROSS JOIN LATERAL (SELECT hour AT TIME ZONE '{ZONE}' AS local) AS zone
LEFT JOIN cases.calendar ON calendar.day = local::date
LEFT JOIN counted USING (hour)
ORDER BY hour
""",
            "time_series",
        ),
    ),
    decimals=0,
    style="bars",
    stacked=True,
    names={
        "warned": Named(Text("预警", "warned"), "yellow"),
        "held": Named(Text("拦截与禁止", "held"), "orange"),
        "working": Named(Text("工作时间", "working hours")),
    },
    background="working",
)

BY_UNIT: Final = Table(
    Text("案件最多的预算单位", "Budget units with most cases"),
    Text(
        "所选时段内案件最多的二十个预算单位：预警与拦截合计、未处置数、金额（人民币）。",
        "The twenty budget units with most cases in the chosen period: warned and held together, those not decided"
        " yet, and yuan.",
    ),
    "none",
    (
        Sql(
            f"""
SELECT
  coalesce(max(budget_unit_name), budget_unit) AS unit,
  sum(cases) AS cases,
  sum(open_cases) AS open,
  sum(amount) FILTER (WHERE currency = 'CNY') AS amount
FROM cases.cases_by_unit WHERE {DAYS}
GROUP BY budget_unit ORDER BY cases DESC LIMIT 20
"""
        ),
    ),
    columns={
        "unit": Column(Text("预算单位", "Budget unit")),
        "cases": Column(Text("案件", "Cases"), width=130, decimals=0, bar=True),
        "open": Column(Text("未处置", "Open"), width=80, decimals=0, thresholds=((1, "orange"),)),
        "amount": Column(Text("金额（元）", "Amount, CNY"), width=150, unit="locale", decimals=2),
    },
)

CASE_COLUMNS: Final = {
    "event_time": Column(Text("提交时间", "Submitted"), width=175, unit="dateTimeAsIso"),
    "verdict": Column(Text("判定", "Verdict"), width=80, values=CASES),
    "status": Column(Text("状态", "Status"), width=90, values=STATUSES),
    "level": Column(Text("级别", "Level"), width=70, values=LEVELS),
    "unit": Column(Text("预算单位", "Budget unit"), width=150),
    "payee": Column(Text("收款人", "Payee"), width=170),
    "amount": Column(Text("金额", "Amount"), width=125, unit="locale", decimals=2),
    "currency": Column(Text("币种", "Currency"), width=90),
    "reasons": Column(Text("原因", "Reasons"), long=True),
    "hours": Column(Text("历时（小时）", "Age, h"), width=100, decimals=1, thresholds=((24, "yellow"), (72, "red"))),
    "instruction_id": Column(
        Text("支付指令", "Instruction"), width=215, link="${console}/cases/${__value.raw:percentencode}"
    ),
}


def case_list(where: str, most: int) -> Sql:
    """The newest cases of the chosen period, those that nobody has decided first."""
    return Sql(
        f"""
SELECT
  event_time,
  verdict,
  status,
  level,
  coalesce(budget_unit_name, budget_unit) AS unit,
  payee_name AS payee,
  amount,
  currency,
  reasons_{{language}} AS reasons,
  open_hours AS hours,
  instruction_id
FROM cases.all_cases WHERE {where}
ORDER BY status <> 'open', event_time DESC LIMIT {most}
"""
    )
