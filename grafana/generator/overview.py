"""国库支付总览 · Treasury overview: what monitoring staff watch all day. The first three rows fit on 1920×1080."""

from __future__ import annotations

from typing import Final

from grafana.generator.casework import AMOUNT_HELD_NOW, BY_HOUR, BY_UNIT, CASE_COLUMNS, HELD_NOW, case_list
from grafana.generator.frame import POSTGRESQL_CHOICE, PROMETHEUS_CHOICE, Dashboard
from grafana.generator.panels import Column, Lines, Row, Stat, Table
from grafana.generator.periods import DAYS, MIDNIGHT, MOMENTS
from grafana.generator.queries import Prom, Sql
from grafana.generator.texts import Text
from grafana.generator.vocabulary import ALERTS, LEVELS, MONEY, NONE, VERDICTS, in_money, most_hits, or_none

_NUMBERS: Final = (
    Stat(
        Text("支付指令", "Payments"),
        Text("所选时段内已判定的支付指令。", "Payment instructions judged in the chosen period."),
        "locale",
        (Prom("sum(increase(treasury_watch_instructions_total[$__range]))", now=True),),
        decimals=0,
    ),
    Stat(
        Text("预警", "Warned"),
        Text("判定为预警的指令：不停付，单位须留意。", "Instructions with the verdict warn: never held."),
        "locale",
        (Prom('sum(increase(treasury_watch_instructions_total{verdict="warn"}[$__range]))', now=True),),
        thresholds=((1, "yellow"),),
        decimals=0,
    ),
    Stat(
        Text("拦截与禁止", "Intercepted, prohibited"),
        Text(
            "所选时段内判定为拦截或禁止的指令，无论其后是否已处置。",
            "Instructions with the verdict intercept or prohibit in the chosen period, decided since or not.",
        ),
        "locale",
        (Prom('sum(increase(treasury_watch_instructions_total{verdict=~"intercept|prohibit"}[$__range]))', now=True),),
        thresholds=((1, "orange"),),
        decimals=0,
    ),
    HELD_NOW,
    AMOUNT_HELD_NOW,
    Stat(
        Text("死信", "Dead letters"),
        Text(
            "所选时段内被拒收的消息，原文保留在死信主题中。",
            "Messages refused in the chosen period; the originals are kept on the dead-letter topic.",
        ),
        "locale",
        (Prom("sum(increase(treasury_watch_dead_letters_total[$__range]))", now=True),),
        thresholds=((1, "yellow"), (100, "red")),
        decimals=0,
        runbook="dead-letters",
    ),
    Stat(
        Text("积压", "Waiting"),
        Text("所有分区中尚未判定的消息。", "Messages on all partitions that are not judged yet."),
        "locale",
        (Prom("sum(treasury_watch_lag)", now=True),),
        thresholds=((1000, "yellow"), (10000, "red")),
        decimals=0,
        runbook="lag",
    ),
    Stat(
        Text("系统告警", "Alerts firing"),
        Text(
            "正在触发的系统告警，不是支付预警；详情见引擎面板。",
            "Alerts about the system that fire now, not warnings of payments; the dashboard of the engine names them.",
        ),
        "none",
        (Prom(f'count(ALERTS{{{ALERTS}, alertstate="firing"}}) or vector(0)', now=True),),
        thresholds=((1, "red"),),
        decimals=0,
    ),
)

_VERDICTS: Final = Lines(
    Text("每分钟判定", "Verdicts per minute"),
    Text(
        "每分钟判定的支付指令，按判定分。工作时间内降为零时，请查处置手册。",
        "Instructions judged per minute, by verdict. If none come within working hours, see the runbook.",
    ),
    "none",
    (Prom("60 * sum by (verdict) (rate(treasury_watch_instructions_total[$__rate_interval]))", "{{verdict}}"),),
    style="bars",
    stacked=True,
    names=VERDICTS,
    runbook="no-instructions",
)

_NEWEST: Final = Table(
    Text("最新案件", "Newest cases"),
    Text(
        "所选时段内预警与拦截的支付，未处置的在前，最新的在上。点击支付指令转到处置台。",
        "Payments warned and held in the chosen period: undecided ones first, the newest on top. The instruction"
        " leads to the console.",
    ),
    "none",
    (case_list(MOMENTS, 50),),
    columns={
        name: CASE_COLUMNS[name] for name in ("event_time", "verdict", "unit", "amount", "reasons", "instruction_id")
    },
)

_TOP_RULES: Final = Table(
    Text("命中最多的规则", "Rules with most hits"),
    Text("所选时段内正式运行的规则命中，前十条。", "Hits of live rules in the chosen period, the ten with most."),
    "locale",
    (
        Prom(
            or_none('topk(10, sum by (rule) (increase(treasury_watch_hits_total{mode="live"}[$__range])) > 0)', "rule"),
            now=True,
        ),
    ),
    columns={
        "rule": Column(Text("规则", "Rule"), width=150),
        "Value": Column(Text("命中", "Hits"), decimals=0, bar=True),
    },
    sorted_by="Value",
    runbook="rule-hits-unusual",
)

_HITS: Final = Lines(
    Text("每分钟规则命中", "Rule hits per minute"),
    Text(
        "命中最多的十条规则，正式运行；试运行见规则面板。",
        "The ten live rules with most hits; those in shadow are on the dashboard of rules.",
    ),
    "none",
    (
        Prom(
            or_none(
                '60 * sum by (rule) (rate(treasury_watch_hits_total{mode="live"}[$__rate_interval])) '
                + most_hits("live"),
                "rule",
            ),
            "{{rule}}",
        ),
    ),
    style="bars",
    stacked=True,
    names=NONE,
)

_LEVELS: Final = Lines(
    Text("每日案件（按级别）", "Cases per day by level"),
    Text(
        "按最高命中级别统计的案件，按支付提交日。",
        "Cases by the highest level of their hits, by the day of submission.",
    ),
    "none",
    (
        Sql(
            "SELECT\n  "
            + ",\n  ".join([MIDNIGHT, *(f"count(*) FILTER (WHERE level = '{level}') AS {level}" for level in LEVELS)])
            + f"\nFROM cases.all_cases WHERE {DAYS}\nGROUP BY day ORDER BY day",
            "time_series",
        ),
    ),
    decimals=0,
    style="bars",
    stacked=True,
    names=LEVELS,
    interval="1d",
)

_AMOUNT: Final = Lines(
    Text("累计拦截金额", "Amount held, added up"),
    Text(
        "自各工作进程启动以来拦截或禁止的金额（人民币），放行不扣减。",
        "Yuan intercepted or prohibited since the workers started; releases are not taken off.",
    ),
    MONEY,
    (Prom(in_money("sum(treasury_watch_held_cny_total)"), Text("拦截金额", "held")),),
    decimals=2,
)

_ANOMALY: Final = Lines(
    Text("异常提示比例", "Anomaly alert rate"),
    Text(
        "有 p 值的支付指令中达到提示比例的份额，按小时平滑；长期应等于模型文件中的 target（默认 1%）。",
        "Share of the payments with a p-value that alert, over an hour; in the long run the target of the model"
        " file, 1 % by default.",
    ),
    "percentunit",
    (
        Prom(
            "sum(rate(treasury_watch_anomaly_alerts_total[1h]))"
            ' / sum(rate(treasury_watch_anomaly_p_value_bucket{le="+Inf"}[1h]))',
            Text("提示", "alerts"),
        ),
    ),
    thresholds=((0.02, "red"),),
    runbook="anomaly-rate",
)

_REFUSALS: Final = Lines(
    Text("每分钟拒收（按原因）", "Refusals per minute by reason"),
    Text("每分钟拒收的消息，按原因分。", "Messages refused per minute, by reason."),
    "none",
    (
        Prom(
            or_none("60 * sum by (reason) (rate(treasury_watch_dead_letters_total[$__rate_interval])) > 0", "reason"),
            "{{reason}}",
        ),
    ),
    style="bars",
    stacked=True,
    names=NONE,
    runbook="dead-letters",
)

_QUALITY: Final = Lines(
    Text("每分钟重复、迟到与未知字段", "Duplicates, late, unknown fields per minute"),
    Text(
        "重复送达的指令、迟到的指令、合同之外的字段：不影响其他指令，但说明来源系统有异。",
        "Instructions delivered again, late ones, fields that the contract does not know: no other payment is"
        " touched, but the sender may be at fault.",
    ),
    "none",
    (
        Prom("60 * sum(rate(treasury_watch_duplicates_total[$__rate_interval]))", Text("重复", "duplicates")),
        Prom("60 * sum(rate(treasury_watch_late_total[$__rate_interval]))", Text("迟到", "late")),
        Prom(
            "60 * sum(rate(treasury_watch_unknown_fields_total[$__rate_interval]))", Text("未知字段", "unknown fields")
        ),
    ),
)

_LATENCY: Final = Lines(
    Text("判定时延", "Time to a verdict"),
    Text(
        "从消息时间戳到判定为 Kafka 所确认；目标为 99% 不超过 100 毫秒。",
        "From the message's timestamp to its decision acknowledged by Kafka; the objective is 99 % within 100 ms.",
    ),
    "s",
    tuple(
        Prom(
            f"histogram_quantile({q}, sum by (le)"
            f" (rate(treasury_watch_decision_latency_seconds_bucket[$__rate_interval])))",
            f"p{q * 100:.0f}",
        )
        for q in (0.5, 0.99)
    ),
    thresholds=((0.1, "red"),),
    runbook="latency-budget-burn",
)

OVERVIEW: Final = Dashboard(
    uid="treasury-overview",
    title=Text("国库支付总览", "Treasury overview"),
    description=Text(
        "今日支付、预警、拦截与案件，供监控人员全天查看。",
        "Payments, warnings, holds and cases of today, for monitoring staff.",
    ),
    rows=(
        Row(5, tuple((3, each) for each in _NUMBERS)),
        Row(8, ((12, _VERDICTS), (12, BY_HOUR))),
        Row(11, ((18, _NEWEST), (6, _TOP_RULES))),
        Row(9, ((8, BY_UNIT), (8, _HITS), (8, _LEVELS))),
        Row(8, ((8, _AMOUNT), (8, _ANOMALY), (8, _LATENCY))),
        Row(8, ((12, _REFUSALS), (12, _QUALITY))),
    ),
    choices=(PROMETHEUS_CHOICE, POSTGRESQL_CHOICE),
    since="now/d",
    refresh="30s",
)
