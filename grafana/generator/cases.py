"""案件 · Cases, for those who work on them: the list of held and warned payments, and what there is to know of all."""

from __future__ import annotations

from typing import Final

from grafana.generator.casework import AMOUNT_HELD_NOW, BY_HOUR, BY_UNIT, CASE_COLUMNS, HELD_NOW, case_list
from grafana.generator.frame import POSTGRESQL_CHOICE, Dashboard
from grafana.generator.panels import Column, Lines, Named, Row, Stat, Table
from grafana.generator.periods import DAYS, MIDNIGHT, MOMENTS
from grafana.generator.queries import Sql
from grafana.generator.texts import Text
from grafana.generator.variables import Choice
from grafana.generator.vocabulary import CASES, MONEY, STATUSES, VERDICTS

_EVERY: Final = "'*'"
_HOURS: Final = Text("suffix: 小时", "h")


def _or_every(column: str, choice: str) -> str:
    return f"('*' IN (${{{choice}:sqlstring}}) OR {column} IN (${{{choice}:sqlstring}}))"


_CHOSEN: Final = " AND ".join(
    (
        MOMENTS,
        "verdict IN (${verdict:sqlstring})",
        "status IN (${status:sqlstring})",
        _or_every("jurisdiction", "jurisdiction"),
        _or_every("budget_unit", "unit"),
        "('*' IN (${rule:sqlstring}) OR rules && ARRAY[${rule:sqlstring}]::text[])",
    )
)


def _by_day(items: tuple[str, ...], view: str) -> Sql:
    selected = ",\n  ".join((MIDNIGHT, *items))
    return Sql(f"SELECT\n  {selected}\nFROM cases.{view} WHERE {DAYS}\nGROUP BY day ORDER BY day", "time_series")


def _amount_by_day(scale: str) -> str:
    sums = (f"coalesce(sum(amount) FILTER (WHERE verdict = '{each}'), 0){scale} AS {each}" for each in CASES)
    selected = ",\n  ".join((MIDNIGHT, *sums))
    return f"SELECT\n  {selected}\nFROM cases.cases_by_day WHERE currency = 'CNY' AND {DAYS}\nGROUP BY day ORDER BY day"


_OPEN: Final = Stat(
    Text("未处置案件", "Open cases"),
    Text("尚未处置的预警与拦截，不限时段。", "Payments warned or held that nobody has decided yet, of any time."),
    "locale",
    (Sql("SELECT count(*) AS cases FROM cases.open_cases"),),
    thresholds=((1, "orange"),),
    decimals=0,
)
_OLDEST: Final = Stat(
    Text("最早在拦", "Held longest"),
    Text("当前在拦的支付中最早一笔至今的时长。", "How long the oldest of the payments held now has been waiting."),
    _HOURS,
    (Sql("SELECT extract(epoch FROM now() - min(oldest))::float8 / 3600 AS hours FROM cases.amounts_held"),),
    thresholds=((24, "yellow"), (72, "red")),
    decimals=1,
)
_IN_TIME: Final = Stat(
    Text("按期处置", "Decided in time"),
    Text(
        "所选时段的案件中，判定后三个工作日内已处置的份额；尚未处置的也计入分母，节假日安排未知的年份不计。",
        "Share of the cases of the chosen period that were decided within three working days; those still open count"
        " too, those of years whose holidays are not known do not.",
    ),
    "percentunit",
    (
        Sql(
            "SELECT sum(answered_in_time)::float8 / nullif(sum(with_deadline), 0) AS share"
            f" FROM cases.timeliness WHERE {DAYS}"
        ),
    ),
    decimals=1,
)
_PRECISE: Final = Stat(
    Text("准确率", "Precision"),
    Text(
        "已标注的命中中属实的份额，各规则合计；未标注的不计。",
        "Right of all hits that a person labelled, of all rules; unlabelled ones do not count.",
    ),
    "percentunit",
    (Sql("SELECT sum(true_alarms)::float8 / nullif(sum(answered), 0) AS precision FROM cases.rule_precision"),),
    decimals=1,
)
_LIST: Final = Table(
    Text("案件列表", "Cases"),
    Text(
        "所选条件下的预警与拦截，未处置的在前，最新的在上，至多五百笔。点击支付指令转到处置台；此处只看不办。",
        "Payments warned and held as chosen above: undecided ones first, the newest on top, 500 at most. The"
        " instruction leads to the console; nothing is decided here.",
    ),
    "none",
    (case_list(_CHOSEN, 500),),
    columns=CASE_COLUMNS,
)
_CASES_BY_DAY: Final = Lines(
    Text("每日案件", "Cases per day"),
    Text("按支付提交日统计的案件，按判定分。", "Cases by the day of submission, by verdict."),
    "none",
    (
        _by_day(
            tuple(f"coalesce(sum(cases) FILTER (WHERE verdict = '{each}'), 0) AS {each}" for each in CASES),
            "cases_by_day",
        ),
    ),
    decimals=0,
    style="bars",
    stacked=True,
    names=CASES,
    interval="1d",
)
_AMOUNT_BY_DAY: Final = Lines(
    Text("每日案件金额", "Amount of cases per day"),
    Text("案件的金额（人民币），按判定分。", "Yuan of the cases, by verdict."),
    MONEY,
    (Sql(Text(_amount_by_day(" / 10000"), _amount_by_day("")), "time_series"),),
    decimals=2,
    style="bars",
    stacked=True,
    names=CASES,
    interval="1d",
)
_PAYMENTS_BY_DAY: Final = Lines(
    Text("每日支付", "Payments per day"),
    Text("全部已判定的支付，按判定分。", "All payments judged, by verdict."),
    "short",
    (
        _by_day(
            tuple(f"coalesce(sum(payments) FILTER (WHERE verdict = '{each}'), 0) AS {each}" for each in VERDICTS),
            "payments_by_day",
        ),
    ),
    decimals=0,
    style="bars",
    stacked=True,
    names=VERDICTS,
    interval="1d",
)
_BY_RULE: Final = Table(
    Text("案件最多的规则", "Rules with most cases"),
    Text(
        "所选时段内各规则的案件、未处置数与金额（人民币）；一案命中多条规则时各计一次。",
        "Cases of each rule in the chosen period, those not decided yet, and yuan; a case counts for each rule that"
        " fired.",
    ),
    "none",
    (
        Sql(
            f"""
SELECT
  rule,
  sum(cases) AS cases,
  sum(open_cases) AS open,
  sum(amount) FILTER (WHERE currency = 'CNY') AS amount
FROM cases.cases_by_rule WHERE {DAYS}
GROUP BY rule ORDER BY cases DESC LIMIT 30
"""
        ),
    ),
    columns={
        "rule": Column(Text("规则", "Rule")),
        **{name: BY_UNIT.columns[name] for name in ("cases", "open", "amount")},
    },
)
_PRECISION: Final = Table(
    Text("规则准确率", "Precision by rule"),
    Text(
        "按处置时的标注：属实占已标注的份额；未标注的不计，标注少时参考意义有限。",
        "By the labels that people gave: right of all labelled. Unlabelled cases do not count; few labels say little.",
    ),
    "none",
    (
        Sql(
            "SELECT rule, answered, true_alarms, false_alarms, precision::float8 AS precision"
            " FROM cases.rule_precision ORDER BY answered DESC"
        ),
    ),
    columns={
        "rule": Column(Text("规则", "Rule")),
        "answered": Column(Text("已标注", "Labelled"), width=90, decimals=0),
        "true_alarms": Column(Text("属实", "Right"), width=80, decimals=0),
        "false_alarms": Column(Text("误报", "Wrong"), width=80, decimals=0),
        "precision": Column(Text("准确率", "Precision"), width=110, unit="percentunit", decimals=1),
    },
)
_TIMELINESS: Final = Lines(
    Text("处置用时", "Time to a decision"),
    Text(
        "按支付提交日：已处置案件用时的中位数与九成位，自然小时。",
        "By the day of submission: half, and nine of ten, of the decided cases took at most so long, in hours that"
        " pass.",
    ),
    _HOURS,
    (
        _by_day(
            ("max(median_hours)::float8 AS median", "max(p90_hours)::float8 AS p90"),
            "timeliness",
        ),
    ),
    names={"median": Named(Text("中位数", "median")), "p90": Named(Text("九成位", "nine of ten"))},
    thresholds=((72, "red"),),
    interval="1d",
)
_ANSWERED: Final = Lines(
    Text("每日案件与处置", "Cases and those decided, per day"),
    Text(
        "按支付提交日：案件数、其中已处置的、三个工作日内处置的。",
        "By the day of submission: cases, those decided, and those decided within three working days.",
    ),
    "none",
    (
        _by_day(
            (
                "sum(cases) AS cases",
                "sum(answered) AS answered",
                "sum(answered_in_time) AS in_time",
            ),
            "timeliness",
        ),
    ),
    decimals=0,
    names={
        "cases": Named(Text("案件", "cases")),
        "answered": Named(Text("已处置", "decided")),
        "in_time": Named(Text("按期处置", "in time")),
    },
    interval="1d",
)
_REFUSED: Final = Table(
    Text("死信", "Refused messages"),
    Text(
        "所选时段内被拒收的消息及原因；原文在死信主题与案件库中。",
        "Messages refused in the chosen period, and why; the originals are on the dead-letter topic and in the"
        " database.",
    ),
    "none",
    (
        Sql(
            "SELECT failed_at, reason, detail, instruction_id,"
            " refused_topic || '[' || refused_partition || '] @ ' || refused_offset AS position"
            f" FROM cases.refused_messages WHERE {DAYS} AND $__timeFilter(failed_at) ORDER BY failed_at DESC LIMIT 200"
        ),
    ),
    columns={
        "failed_at": Column(Text("拒收时间", "Refused at"), width=175, unit="dateTimeAsIso"),
        "reason": Column(Text("原因", "Reason"), width=150),
        "detail": Column(Text("详情", "Detail"), long=True),
        "instruction_id": Column(Text("支付指令", "Instruction"), width=215),
        "position": Column(Text("位置", "Position"), width=250),
    },
    runbook="dead-letters",
)
_UNREADABLE: Final = Table(
    Text("无法识别的记录", "Records not understood"),
    Text(
        "本系统主题上无法识别的记录及原因；正常为空。",
        "Records on our own topics that are none of ours, and why; empty as a rule.",
    ),
    "none",
    (
        Sql(
            "SELECT arrived_at, reason, source_topic, source_partition, source_offset"
            f" FROM cases.not_understood WHERE {DAYS} ORDER BY arrived_at DESC LIMIT 200"
        ),
    ),
    columns={
        "arrived_at": Column(Text("到达时间", "Arrived at"), width=175, unit="dateTimeAsIso"),
        "reason": Column(Text("原因", "Reason"), long=True),
        "source_topic": Column(Text("主题", "Topic"), width=200),
        "source_partition": Column(Text("分区", "Partition"), width=80, decimals=0),
        "source_offset": Column(Text("位点", "Offset"), width=100, decimals=0),
    },
)
_PROGRESS: Final = Table(
    Text("入库进度", "Written up to"),
    Text("各主题各分区写到何处、何时写入。", "Up to where each partition is written, and when that was."),
    "none",
    (
        Sql(
            "SELECT source_topic, source_partition, next_offset, written_at"
            " FROM cases.sink_progress ORDER BY source_topic, source_partition"
        ),
    ),
    columns={
        "source_topic": Column(Text("主题", "Topic")),
        "source_partition": Column(Text("分区", "Partition"), width=80, decimals=0),
        "next_offset": Column(Text("下一位点", "Next offset"), width=100, decimals=0),
        "written_at": Column(Text("写入时间", "Written at"), width=175, unit="dateTimeAsIso"),
    },
)

CASES_BOARD: Final = Dashboard(
    uid="treasury-cases",
    title=Text("案件", "Cases"),
    description=Text(
        "预警与拦截的支付：原因、状态、时长，及按单位、规则、日的统计。只看不办，处置在处置台。",
        "Payments warned and held: reasons, status, age, and counts by unit, rule and day. To look at; decided in"
        " the console.",
    ),
    rows=(
        Row(4, tuple((4, each) for each in (HELD_NOW, AMOUNT_HELD_NOW, _OLDEST, _OPEN, _IN_TIME, _PRECISE))),
        Row(18, ((24, _LIST),)),
        Row(9, ((12, BY_HOUR), (12, _PAYMENTS_BY_DAY)), Text("何时", "When")),
        Row(8, ((12, _CASES_BY_DAY), (12, _AMOUNT_BY_DAY))),
        Row(10, ((8, BY_UNIT), (8, _BY_RULE), (8, _PRECISION)), Text("何处与何故", "Where and why")),
        Row(8, ((12, _TIMELINESS), (12, _ANSWERED)), Text("处置", "Decisions of people")),
        Row(9, ((24, _REFUSED),), Text("入库", "What came in")),
        Row(9, ((14, _UNREADABLE), (10, _PROGRESS))),
    ),
    choices=(
        POSTGRESQL_CHOICE,
        Choice("verdict", Text("判定", "Verdict"), values=CASES),
        Choice("status", Text("状态", "Status"), values=STATUSES),
        Choice(
            "jurisdiction",
            Text("行政区划", "Jurisdiction"),
            Sql(f"SELECT DISTINCT jurisdiction FROM cases.cases_by_unit WHERE {DAYS} ORDER BY 1"),
            everything=_EVERY,
        ),
        Choice(
            "unit",
            Text("预算单位", "Budget unit"),
            Sql(
                "SELECT coalesce(max(budget_unit_name), budget_unit) AS __text, budget_unit AS __value"
                f" FROM cases.cases_by_unit WHERE {DAYS} GROUP BY budget_unit ORDER BY 1"
            ),
            everything=_EVERY,
        ),
        Choice(
            "rule",
            Text("规则", "Rule"),
            Sql(f"SELECT DISTINCT rule FROM cases.cases_by_rule WHERE {DAYS} ORDER BY 1"),
            everything=_EVERY,
        ),
    ),
    since="now-7d",
    refresh="1m",
)
