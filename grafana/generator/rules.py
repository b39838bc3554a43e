"""规则 · Rules, for their authors: what hits, what would, how much noise there is, and the anomaly model."""

from __future__ import annotations

from typing import Final

from grafana.generator.frame import PROMETHEUS_CHOICE, Dashboard
from grafana.generator.panels import Column, Lines, Row, Stat, Table
from grafana.generator.queries import Prom
from grafana.generator.texts import Text
from grafana.generator.variables import Choice
from grafana.generator.vocabulary import MODES, NONE, most_hits, or_none

_RULE: Final = 'rule=~"$rule"'
_SHORT: Final = "sha256:(.{12}).*"
_ALL_PAYMENTS: Final = "scalar(sum(increase(treasury_watch_instructions_total[$__range])))"


def _hits(mode: str) -> str:
    return f'sum by (rule) (increase(treasury_watch_hits_total{{{_RULE}, mode="{mode}"}}[$__range]))'


def _rate(mode: str, span: str) -> str:
    return f'sum by (rule) (rate(treasury_watch_hits_total{{{_RULE}, mode="{mode}"}}[{span}]))'


def _most(mode: str) -> str:
    return most_hits(mode, f"{_RULE}, ")


_IN_FORCE: Final = Stat(
    Text("规则集版本", "Rule sets in force"),
    Text(
        "正在使用的不同规则集数；多于一个即各进程规则不一致。",
        "How many rule sets are in force; more than one means that workers disagree.",
    ),
    "none",
    (Prom("count(count by (hash) (treasury_watch_ruleset_info))", now=True),),
    thresholds=((2, "red"),),
    decimals=0,
    runbook="rule-sets-differ",
)
_LIVE_SHARE: Final = Stat(
    Text("成案份额", "Share of cases"),
    Text(
        "所选时段内预警、拦截或禁止的份额；过高即规则过宽。",
        "Share of the payments of the chosen period that were warned of or held; too many means that rules are too"
        " wide.",
    ),
    "percentunit",
    (
        Prom(
            'sum(increase(treasury_watch_instructions_total{verdict!="pass"}[$__range])) /'
            " sum(increase(treasury_watch_instructions_total[$__range]))",
            now=True,
        ),
    ),
    thresholds=((0.05, "yellow"), (0.1, "red")),
    decimals=1,
)
_SILENT: Final = Stat(
    Text("未命中规则", "Silent rules"),
    Text(
        "所选规则中所选时段内一次也未命中的条数，各模式合计。",
        "How many of the chosen rules did not hit once in the chosen period, in any mode.",
    ),
    "none",
    (
        Prom(
            f"count(sum by (rule) (increase(treasury_watch_hits_total{{{_RULE}}}[$__range])) == 0) or vector(0)",
            now=True,
        ),
    ),
    decimals=0,
)
_NOISY: Final = Stat(
    Text("高频规则", "Noisy rules"),
    Text(
        "所选规则中命中超过全部支付 2% 的正式规则数。",
        "How many of the chosen live rules hit more than 2 % of all payments.",
    ),
    "none",
    (Prom(f"count({_hits('live')} / {_ALL_PAYMENTS} > 0.02) or vector(0)", now=True),),
    thresholds=((1, "yellow"), (5, "red")),
    decimals=0,
    runbook="rule-hits-unusual",
)
_WARMING: Final = Stat(
    Text("预热窗口", "Windows warming"),
    Text(
        "历史尚短、其规则暂不生效的窗口数，各分区合计。",
        "Windows whose history is too short, so that their rules have no effect yet; of all partitions.",
    ),
    "none",
    (Prom("sum(treasury_watch_warming_windows)", now=True),),
    thresholds=((1, "yellow"),),
    decimals=0,
)
_HASHES: Final = Table(
    Text("现行规则集", "Rule sets in force by worker"),
    Text("各规则集的哈希与使用它的进程数。", "Hash of each rule set and how many workers judge by it."),
    "none",
    (Prom("count by (hash) (treasury_watch_ruleset_info)", now=True),),
    columns={
        "hash": Column(Text("哈希", "Hash"), long=True),
        "Value": Column(Text("进程", "Workers"), width=90, decimals=0),
    },
    sorted_by="Value",
    runbook="rule-sets-differ",
)

_TABLE: Final = Table(
    Text("各规则命中", "Hits by rule"),
    Text(
        "所选时段内各规则的正式、试运行与预热命中，及正式与试运行命中占全部支付的份额；份额过高即噪声。",
        "Hits of each rule in the chosen period, live, in shadow and warming, and the share of all payments that it"
        " hits live or in shadow: a high one is noise.",
    ),
    "none",
    (
        Prom(_hits("live"), now=True),
        Prom(_hits("shadow"), now=True),
        Prom(_hits("warming"), now=True),
        Prom(
            f'sum by (rule) (increase(treasury_watch_hits_total{{{_RULE}, mode=~"live|shadow"}}[$__range])) /'
            f" {_ALL_PAYMENTS}",
            now=True,
        ),
    ),
    columns={
        "rule": Column(Text("规则", "Rule")),
        "Value #A": Column(Text("正式", "Live"), width=110, decimals=0),
        "Value #B": Column(Text("试运行", "Shadow"), width=110, decimals=0),
        "Value #C": Column(Text("预热", "Warming"), width=110, decimals=0),
        "Value #D": Column(
            Text("占全部支付", "Of all payments"),
            width=150,
            unit="percentunit",
            decimals=2,
            thresholds=((0.01, "yellow"), (0.02, "red")),
        ),
    },
    joined_by="rule",
    sorted_by="Value #D",
    runbook="rule-hits-unusual",
)
_MODES: Final = Lines(
    Text("每分钟命中（按模式）", "Hits per minute by mode"),
    Text(
        "正式、试运行与预热的命中；后两者不影响判定。",
        "Hits live, in shadow and warming; the last two do not change a verdict.",
    ),
    "none",
    (Prom(f"60 * sum by (mode) (rate(treasury_watch_hits_total{{{_RULE}}}[$__rate_interval]))", "{{mode}}"),),
    names=MODES,
)
_LIVE: Final = Lines(
    Text("每分钟正式命中", "Live hits per minute"),
    Text("命中最多的十条正式规则。", "The ten live rules with most hits."),
    "none",
    (Prom(or_none(f"60 * {_rate('live', '$__rate_interval')} {_most('live')}", "rule"), "{{rule}}"),),
    style="bars",
    stacked=True,
    names=NONE,
)
_SHADOW: Final = Lines(
    Text("每分钟试运行命中", "Shadow hits per minute"),
    Text(
        "命中最多的十条试运行规则：转为正式后将增加的案件。",
        "The ten shadow rules with most hits: cases that there would be if they went live.",
    ),
    "none",
    (Prom(or_none(f"60 * {_rate('shadow', '$__rate_interval')} {_most('shadow')}", "rule"), "{{rule}}"),),
    style="bars",
    stacked=True,
    names=NONE,
)
_SHARES: Final = Lines(
    Text("占全部支付的份额", "Share of all payments"),
    Text(
        "命中最多的十条正式规则各占全部支付的份额，按小时平滑。",
        "Share of all payments that the ten live rules with most hits have each, over an hour.",
    ),
    "percentunit",
    (
        Prom(
            or_none(
                f"{_rate('live', '1h')} / scalar(sum(rate(treasury_watch_instructions_total[1h]))) {_most('live')}",
                "rule",
            ),
            "{{rule}}",
        ),
    ),
    thresholds=((0.02, "red"),),
    names=NONE,
    runbook="rule-hits-unusual",
)

_HASH_HISTORY: Final = Lines(
    Text("规则集沿革", "Rule sets over time"),
    Text(
        "使用各规则集的进程数；换线即发布。",
        "How many workers judge by each rule set; where one line takes over, rules were released.",
    ),
    "none",
    (Prom("count by (hash) (treasury_watch_ruleset_info)", "{{hash}}"),),
    shortened=_SHORT,
    decimals=0,
    style="steps",
    stacked=True,
    runbook="rule-sets-differ",
)
_TIME: Final = Lines(
    Text("每批引擎用时（按规则集）", "Engine time per batch by rule set"),
    Text("引擎判定一批的平均用时，按当时的规则集。", "The engine's mean time for one batch, by the rule set in force."),
    "s",
    (
        Prom(
            "sum by (hash) (rate(treasury_watch_engine_seconds_sum[$__rate_interval]) * on (instance) group_left"
            " (hash) treasury_watch_ruleset_info)"
            " / sum by (hash) (rate(treasury_watch_engine_seconds_count[$__rate_interval]) * on (instance)"
            " group_left (hash) treasury_watch_ruleset_info)",
            "{{hash}}",
        ),
    ),
    shortened=_SHORT,
)
_TIME_EACH: Final = Lines(
    Text("每条指令引擎用时", "Engine time per instruction"),
    Text(
        "引擎判定一条指令的平均用时，含全部规则与模型。",
        "The engine's mean time for one instruction, all rules and the model included.",
    ),
    "s",
    (
        Prom(
            "sum(rate(treasury_watch_engine_seconds_sum[$__rate_interval])) /"
            " sum(rate(treasury_watch_instructions_total[$__rate_interval]))",
            Text("每条", "each"),
        ),
    ),
)
_WINDOWS: Final = Lines(
    Text("预热窗口（按分区）", "Windows warming by partition"),
    Text(
        "历史尚短的窗口数；降为零后其规则生效。",
        "Windows whose history is too short; their rules take effect once there are none.",
    ),
    "none",
    (
        Prom(
            "sum by (partition) (treasury_watch_warming_windows)",
            Text("分区 {{partition}}", "partition {{partition}}"),
        ),
    ),
    decimals=0,
    style="steps",
)

_ALERT_RATE: Final = Lines(
    Text("模型提示比例", "Alert rate of the model"),
    Text(
        "有 p 值的支付中达到提示比例的份额，按小时平滑；应近于 1%，容许 0.5% 至 2%。",
        "Share of the payments with a p-value that alert, over an hour; near 1 %, allowed are 0.5 % to 2 %.",
    ),
    "percentunit",
    (
        Prom(
            "sum(rate(treasury_watch_anomaly_alerts_total[1h])) / sum(rate(treasury_watch_anomaly_p_value_count[1h]))",
            Text("提示", "alerts"),
        ),
    ),
    thresholds=((0.02, "red"),),
    runbook="anomaly-rate",
)
_CALIBRATION: Final = Lines(
    Text("p 值校准", "Calibration of p-values"),
    Text(
        "p 值不超过 1%、5%、10%、50% 的支付份额，按小时平滑；各线应贴近其名。",
        "Share of the payments with a p-value up to 1, 5, 10 and 50 %, over an hour; each line should be near its"
        " name.",
    ),
    "percentunit",
    tuple(
        Prom(
            f'sum(rate(treasury_watch_anomaly_p_value_bucket{{le="{bound}"}}[1h])) /'
            f" sum(rate(treasury_watch_anomaly_p_value_count[1h]))",
            f"p ≤ {float(bound):.0%}",
        )
        for bound in ("0.01", "0.05", "0.1", "0.5")
    ),
    runbook="anomaly-rate",
)
_SCORED: Final = Lines(
    Text("每分钟模型评分", "Scored per minute"),
    Text(
        "评分的支付、其中已有 p 值的（模型已预热），以及单位金额缓慢增长的。",
        "Payments scored, those of them with a p-value (the model is warm), and those at which the amounts of a unit"
        " have slowly grown.",
    ),
    "none",
    (
        Prom("60 * sum(rate(treasury_watch_anomaly_scored_total[$__rate_interval]))", Text("评分", "scored")),
        Prom(
            "60 * sum(rate(treasury_watch_anomaly_p_value_count[$__rate_interval]))", Text("有 p 值", "with a p-value")
        ),
        Prom("60 * sum(rate(treasury_watch_anomaly_creeping_total[$__rate_interval]))", Text("缓慢增长", "creeping")),
    ),
)
_DRIFT: Final = Lines(
    Text("漂移事件（按分区）", "Drift events by partition"),
    Text(
        "各分区的模型记住的漂移事件，每个模型至多二十件。",
        "Drift events that the models of each partition remember, at most twenty each.",
    ),
    "none",
    (
        Prom(
            "sum by (partition) (treasury_watch_anomaly_drift_events)",
            Text("分区 {{partition}}", "partition {{partition}}"),
        ),
    ),
    decimals=0,
    style="steps",
)
_DETECTOR: Final = Lines(
    Text("试运行检测器", "Shadow detector"),
    Text(
        "所配试运行检测器每分钟的评分、提示、与模型一致的提示及出错；未配置则为零。",
        "What the shadow detector scores, alerts of, agrees on with the model and fails on per minute; zero where"
        " none is set.",
    ),
    "none",
    tuple(
        Prom(f"60 * sum(rate(treasury_watch_anomaly_shadow_{name}_total[$__rate_interval]))", legend)
        for name, legend in (
            ("scored", Text("评分", "scored")),
            ("alerts", Text("提示", "alerts")),
            ("agreed", Text("与模型一致", "agreed")),
            ("errors", Text("出错", "errors")),
        )
    ),
)

RULES: Final = Dashboard(
    uid="treasury-rules",
    title=Text("规则", "Rules"),
    description=Text(
        "规则命中、噪声、规则集与异常模型，供规则作者使用。",
        "Hits, noise, rule sets and the anomaly model, for rule authors.",
    ),
    rows=(
        Row(4, ((3, _IN_FORCE), (3, _LIVE_SHARE), (3, _NOISY), (3, _SILENT), (3, _WARMING), (9, _HASHES))),
        Row(16, ((10, _TABLE), (14, _LIVE)), Text("命中与噪声", "Hits and noise")),
        Row(8, ((8, _MODES), (8, _SHADOW), (8, _SHARES))),
        Row(
            8,
            ((6, _HASH_HISTORY), (6, _TIME), (6, _TIME_EACH), (6, _WINDOWS)),
            Text("规则集", "Rule sets"),
        ),
        Row(8, ((8, _ALERT_RATE), (8, _CALIBRATION), (8, _SCORED)), Text("异常模型", "Anomaly model")),
        Row(8, ((12, _DRIFT), (12, _DETECTOR))),
    ),
    choices=(
        PROMETHEUS_CHOICE,
        Choice("rule", Text("规则", "Rule"), Prom("label_values(treasury_watch_hits_total, rule)")),
    ),
    since="now-24h",
    refresh="1m",
)
