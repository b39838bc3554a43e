"""引擎 · Engine, for operators: rates, errors and durations; utilisation, saturation and errors of what it runs on."""

from __future__ import annotations

from typing import Final

from grafana.generator.frame import PROMETHEUS_CHOICE, Dashboard
from grafana.generator.panels import Column, Lines, Named, Row, Stat, Table
from grafana.generator.queries import Prom
from grafana.generator.texts import Text, Words
from grafana.generator.variables import Choice
from grafana.generator.vocabulary import ALERTS

_ON: Final = 'instance=~"$instance"'
_OF: Final = 'instance=~"$instance", partition=~"$partition"'


def _quantiles(histogram: str) -> tuple[Prom, ...]:
    """The median, 95 and 99 of a hundred."""
    return tuple(
        Prom(
            f"histogram_quantile({q}, sum by (le) (rate({histogram}_bucket{{{_ON}}}[$__rate_interval])))",
            f"p{q * 100:.0f}",
        )
        for q in (0.5, 0.95, 0.99)
    )


def _within(seconds: Words, bound: str) -> Prom:
    return Prom(
        f'sum(rate(treasury_watch_decision_latency_seconds_bucket{{{_ON}, le="{bound}"}}[$__rate_interval]))'
        f" / sum(rate(treasury_watch_decision_latency_seconds_count{{{_ON}}}[$__rate_interval]))",
        seconds,
    )


_READY: Final = Stat(
    Text("就绪进程", "Workers ready"),
    Text("可以判定的工作进程数；为零时没有人判定。", "Workers that can judge; if there are none, nobody does."),
    "none",
    (Prom(f"sum(treasury_watch_ready{{{_ON}}})", now=True),),
    thresholds=((0, "red"), (1, "green")),
    decimals=0,
    runbook="no-worker",
)
_SERVED: Final = Stat(
    Text("在处理分区", "Partitions served"),
    Text("至少有一个工作进程在判定的分区数。", "Partitions that a worker judges."),
    "none",
    (Prom("count(count by (partition) (treasury_watch_lag))", now=True),),
    thresholds=((0, "red"), (1, "green")),
    decimals=0,
    runbook="partitions-unserved",
)
_WAITING: Final = Stat(
    Text("积压", "Waiting"),
    Text("所选进程与分区上尚未判定的消息。", "Messages not judged yet, on the chosen workers and partitions."),
    "locale",
    (Prom(f"sum(treasury_watch_lag{{{_OF}}})", now=True),),
    thresholds=((1000, "yellow"), (10000, "red")),
    decimals=0,
    runbook="lag",
)
_SLOW: Final = Stat(
    Text("超过 100 毫秒", "Slower than 100 ms"),
    Text(
        "所选时段内判定用时超过 100 毫秒的份额；目标为不超过 1%。",
        "Share of the decisions of the chosen period that took longer than 100 ms; the objective is 1 % at most.",
    ),
    "percentunit",
    (
        Prom(
            f'1 - sum(increase(treasury_watch_decision_latency_seconds_bucket{{{_ON}, le="0.1"}}[$__range]))'
            f" / sum(increase(treasury_watch_decision_latency_seconds_count{{{_ON}}}[$__range]))",
            now=True,
        ),
    ),
    thresholds=((0.005, "yellow"), (0.01, "red")),
    decimals=2,
    runbook="latency-budget-burn",
)
_OLDEST: Final = Stat(
    Text("快照时长", "Snapshot age"),
    Text(
        "已判定的一切连同状态写到 Kafka 至今多久，取各分区最久者；越久，恢复时重新判定越多。",
        "How long ago all that was judged was with its state on Kafka, of the partition where that is longest;"
        " the longer, the more is judged again at a restore.",
    ),
    "s",
    (Prom(f"max(treasury_watch_snapshot_age_seconds{{{_OF}}})", now=True),),
    thresholds=((10, "yellow"), (60, "red")),
    decimals=1,
)
_FAILED: Final = Stat(
    Text("判定出错", "Errors in judging"),
    Text(
        "所选时段内因程序出错而按预设判定处理的指令；必须排查。",
        "Instructions of the chosen period on which judging failed, which got the verdict set for such cases; to be"
        " looked into.",
    ),
    "locale",
    (Prom(f"sum(increase(treasury_watch_engine_errors_total{{{_ON}}}[$__range]))", now=True),),
    thresholds=((1, "red"),),
    decimals=0,
    runbook="engine-errors",
)
_ALERTS: Final = Table(
    Text("正在触发的告警", "Alerts firing"),
    Text(
        "由 Prometheus 判定、正在触发的系统告警；没有则为空。",
        "Alerts about the system that fire, as Prometheus finds; empty if there are none.",
    ),
    "none",
    (
        Prom(
            f"time() - max by (alertname, severity) (ALERTS_FOR_STATE{{{ALERTS}}}) and on (alertname, severity)"
            f' ALERTS{{{ALERTS}, alertstate="firing"}}',
            now=True,
        ),
    ),
    columns={
        "alertname": Column(Text("告警", "Alert")),
        "severity": Column(
            Text("级别", "Severity"),
            width=75,
            values={
                "critical": Named(Text("严重", "critical"), "red"),
                "warning": Named(Text("警告", "warning"), "yellow"),
            },
        ),
        "Value": Column(Text("已持续", "For"), width=85, unit="dthms"),
    },
    sorted_by="Value",
)

_RATE: Final = Lines(
    Text("每秒判定（按进程）", "Verdicts per second by worker"),
    Text("各工作进程每秒判定的支付指令。", "Instructions that each worker judges per second."),
    "ops",
    (Prom(f"sum by (instance) (rate(treasury_watch_instructions_total{{{_ON}}}[$__rate_interval]))", "{{instance}}"),),
    stacked=True,
)
_ERRORS: Final = Lines(
    Text("每分钟错误", "Errors per minute"),
    Text(
        "拒收的消息、判定出错、试运行检测器出错、被拒的控制输入、被接管的分区。",
        "Messages refused, errors in judging, errors of the shadow detector, control inputs refused, partitions"
        " taken over while in work.",
    ),
    "none",
    tuple(
        Prom(f"60 * sum(rate({metric}[$__rate_interval]))", legend)
        for metric, legend in (
            (f"treasury_watch_dead_letters_total{{{_ON}}}", Text("拒收", "refused")),
            (f"treasury_watch_engine_errors_total{{{_ON}}}", Text("判定出错", "errors in judging")),
            (f"treasury_watch_anomaly_shadow_errors_total{{{_ON}}}", Text("试运行检测器出错", "shadow detector")),
            (
                f'treasury_watch_control_inputs_total{{{_ON}, outcome="refused"}}',
                Text("控制输入被拒", "control inputs refused"),
            ),
            (f"treasury_watch_fenced_total{{{_ON}}}", Text("分区被接管", "fenced")),
        )
    ),
    runbook="engine-errors",
)
_LATENCY: Final = Lines(
    Text("判定时延（自消息时间戳）", "Latency since the broker's timestamp"),
    Text(
        "从消息到达 Kafka 到判定得到确认；虚线为 100 毫秒的目标。",
        "From the message's arrival on Kafka to its decision acknowledged; the dashed line is the objective of 100 ms.",
    ),
    "s",
    _quantiles("treasury_watch_decision_latency_seconds"),
    thresholds=((0.1, "red"),),
    runbook="latency-budget-burn",
)
_EVENT_LATENCY: Final = Lines(
    Text("判定时延（自提交时间）", "Latency since submission"),
    Text(
        "从支付指令的提交时间到判定得到确认；来源系统的时钟与排队都计入其中。",
        "From the instruction's event time to its decision acknowledged: the sender's clock and queues are in it.",
    ),
    "s",
    _quantiles("treasury_watch_event_latency_seconds"),
    runbook="latency-budget-burn",
)
_WITHIN: Final = Lines(
    Text("达标份额", "Share in time"),
    Text(
        "在 20、100、200 毫秒以内得到确认的判定份额。", "Share of the decisions acknowledged within 20, 100 and 200 ms."
    ),
    "percentunit",
    (_within("≤ 20 ms", "0.02"), _within("≤ 100 ms", "0.1"), _within("≤ 200 ms", "0.2")),
    most=1,
    runbook="latency-budget-burn",
)
_ENGINE: Final = Lines(
    Text("引擎每批用时", "Engine time per batch"),
    Text(
        "引擎判定一批指令的用时，不含收发。",
        "Time that the engine takes for one batch, without reading and publishing.",
    ),
    "s",
    _quantiles("treasury_watch_engine_seconds"),
)
_BATCH: Final = Lines(
    Text("每批消息", "Messages per batch"),
    Text("一批判定多少条消息；越忙批量越大。", "How many messages are judged at once; the busier, the more."),
    "none",
    _quantiles("treasury_watch_batch_size"),
)
_LAG: Final = Lines(
    Text("积压（按分区）", "Waiting by partition"),
    Text("各分区上尚未判定的消息。", "Messages on each partition that are not judged yet."),
    "none",
    (Prom(f"sum by (partition) (treasury_watch_lag{{{_OF}}})", Text("分区 {{partition}}", "partition {{partition}}")),),
    thresholds=((10000, "red"),),
    decimals=0,
    runbook="lag-not-falling",
)

_AGE: Final = Lines(
    Text("快照时长（按分区）", "Snapshot age by partition"),
    Text(
        "已判定的一切连同状态写到 Kafka 至今多久；平时不到一秒。",
        "How long ago all that was judged was with its state on Kafka; less than a second as a rule.",
    ),
    "s",
    (
        Prom(
            f"max by (partition) (treasury_watch_snapshot_age_seconds{{{_OF}}})",
            Text("分区 {{partition}}", "partition {{partition}}"),
        ),
    ),
    thresholds=((60, "red"),),
)
_SNAPSHOT: Final = Lines(
    Text("快照大小（按分区）", "Snapshot size by partition"),
    Text("恢复一个分区须读取的状态字节。", "Bytes of state that a restore of each partition would have to read."),
    "bytes",
    (
        Prom(
            f"max by (partition) (treasury_watch_snapshot_bytes{{{_OF}}})",
            Text("分区 {{partition}}", "partition {{partition}}"),
        ),
    ),
)
_KEYS: Final = Lines(
    Text("状态键数（按分区）", "State keys by partition"),
    Text("各分区记住的窗口键与指令号。", "Keys of windows and ids of instructions that each partition remembers."),
    "short",
    (
        Prom(
            f"sum by (partition) (treasury_watch_state_keys{{{_OF}}})",
            Text("分区 {{partition}}", "partition {{partition}}"),
        ),
    ),
)
_WRITTEN: Final = Lines(
    Text("状态写入", "State written"),
    Text("每秒写往 Kafka 状态主题的字节。", "Bytes written to the state topic on Kafka per second."),
    "Bps",
    (Prom(f"sum by (instance) (rate(treasury_watch_state_bytes_total{{{_ON}}}[$__rate_interval]))", "{{instance}}"),),
)
_RECOVERY: Final = Lines(
    Text("最近一次重建用时", "Last rebuild"),
    Text("各进程最近一次重建窗口的用时。", "How long each worker's last rebuild of windows took."),
    "s",
    (Prom(f"max by (instance) (treasury_watch_rebuild_seconds{{{_ON}}})", "{{instance}}"),),
    runbook="worker-restarts",
)
_TAKEN_OVER: Final = Lines(
    Text("累计接管与恢复", "Taken over and restored, added up"),
    Text(
        "自进程启动以来：带状态接管的分区、重读的消息、重新判定但未再发布的输出、被他人接管的分区。",
        "Since the workers started: partitions taken over with their state, messages read again, outputs judged"
        " again and not published, partitions lost to others.",
    ),
    "short",
    (
        Prom(
            f"sum(treasury_watch_restored_partitions_total{{{_ON}}})", Text("带状态接管的分区", "partitions restored")
        ),
        Prom(f"sum(treasury_watch_rebuilt_instructions_total{{{_ON}}})", Text("重读的消息", "messages read again")),
        Prom(f"sum(treasury_watch_suppressed_outputs_total{{{_ON}}})", Text("未再发布的输出", "outputs suppressed")),
        Prom(f"sum(treasury_watch_fenced_total{{{_ON}}})", Text("被接管的分区", "fenced")),
    ),
    runbook="fenced",
)
_STANDBY: Final = Lines(
    Text("跟随的分区", "Partitions followed"),
    Text(
        "各进程作为备用而跟随其状态的分区数；未启用备用则为零。",
        "Partitions of others whose state each worker follows as a standby; none where standbys are off.",
    ),
    "none",
    (Prom(f"sum by (instance) (treasury_watch_standby_partitions{{{_ON}}})", "{{instance}}"),),
    decimals=0,
    style="steps",
)
_CONTROL: Final = Lines(
    Text("累计控制输入", "Control inputs, added up"),
    Text(
        "自进程启动以来各分区应用或拒绝的规则、参考数据与处置。",
        "Rules, reference data and dispositions that partitions applied or refused since the workers started.",
    ),
    "short",
    (Prom(f"sum by (input, outcome) (treasury_watch_control_inputs_total{{{_ON}}})", "{{input}} {{outcome}}"),),
    decimals=0,
    style="steps",
    names={
        f"{name} {outcome}": Named(Text(zh + zh_outcome, f"{name} {outcome}"))
        for name, zh in (("rules", "规则"), ("reference", "参考数据"), ("dispositions", "处置"))
        for outcome, zh_outcome in (("applied", "已应用"), ("refused", "被拒"))
    },
    runbook="control-input-refused",
)

_CPU: Final = Lines(
    Text("处理器", "CPU"),
    Text("各进程占用的核数；一个工作进程至多用满一核。", "Cores that each process uses; a worker can fill one."),
    "none",
    (Prom(f"sum by (instance) (rate(process_cpu_seconds_total{{{_ON}}}[$__rate_interval]))", "{{instance}}"),),
    thresholds=((0.9, "red"),),
    decimals=2,
)
_BUSY: Final = Lines(
    Text("引擎占用", "Engine busy"),
    Text(
        "引擎用于判定的时间份额；接近 100% 即已饱和。",
        "Share of time that the engine spends on judging; near 100 % it is saturated.",
    ),
    "percentunit",
    (Prom(f"sum by (instance) (rate(treasury_watch_engine_seconds_sum{{{_ON}}}[$__rate_interval]))", "{{instance}}"),),
    thresholds=((0.8, "red"),),
)
_MEMORY: Final = Lines(
    Text("内存", "Memory"),
    Text("各进程的常驻内存；超过 3 GiB 会告警。", "Resident memory of each process; there is an alert from 3 GiB on."),
    "bytes",
    (Prom(f"sum by (instance) (process_resident_memory_bytes{{{_ON}}})", "{{instance}}"),),
    thresholds=((3 * 1024**3, "red"),),
    runbook="memory",
)
_GC: Final = Lines(
    Text("垃圾回收", "Garbage collections"),
    Text("各进程每分钟的垃圾回收次数，按代。", "Garbage collections of each process per minute, by generation."),
    "none",
    (
        Prom(
            f"60 * sum by (generation) (rate(python_gc_collections_total{{{_ON}}}[$__rate_interval]))",
            Text("第 {{generation}} 代", "generation {{generation}}"),
        ),
    ),
)
_FILES: Final = Lines(
    Text("打开的文件", "Open files"),
    Text(
        "各进程打开的文件与连接，占其上限的份额。",
        "Files and connections that each process has open, as a share of its limit.",
    ),
    "percentunit",
    (Prom(f"process_open_fds{{{_ON}}} / process_max_fds{{{_ON}}}", "{{instance}}"),),
    thresholds=((0.8, "red"),),
)
_DISK: Final = Lines(
    Text("磁盘剩余", "Disk left"),
    Text(
        "各机器文件系统的剩余份额，来自 node_exporter；未安装则为空。",
        "Share of the file systems that is free, from node_exporter; empty where that is not installed.",
    ),
    "percentunit",
    (
        Prom(
            'node_filesystem_avail_bytes{fstype!~"tmpfs|overlay|ramfs"} / node_filesystem_size_bytes',
            "{{instance}} {{mountpoint}}",
        ),
    ),
    nothing=Text("没有 node_exporter", "no node_exporter"),
    most=1,
)

_SINK_ROWS: Final = Lines(
    Text("每秒入库行数", "Rows written per second"),
    Text(
        "写入案件库的行数，按表；有无法识别的记录时须查看。",
        "Rows written to the database of cases, by table; records not understood deserve a look.",
    ),
    "none",
    (Prom("sum by (table) (rate(treasury_watch_sink_rows_total[$__rate_interval]))", "{{table}}"),),
    names={
        "decision": Named(Text("判定结果", "decisions")),
        "payment_case": Named(Text("案件", "cases")),
        "disposition": Named(Text("处置", "dispositions")),
        "dead_letter": Named(Text("死信", "dead letters")),
        "unreadable": Named(Text("无法识别", "not understood")),
    },
)
_SINK_LAG: Final = Lines(
    Text("入库积压", "Records not written yet"),
    Text("各主题中尚未写入案件库的记录。", "Records of each topic that are not in the database yet."),
    "none",
    (Prom("sum by (topic) (treasury_watch_sink_lag)", "{{topic}}"),),
    thresholds=((10000, "red"),),
    decimals=0,
)
_SINK_BATCH: Final = Lines(
    Text("入库每批用时", "Time per batch written"),
    Text("从收到一批到提交，不含等待数据库。", "From a batch in hand to its commit, without waiting for the database."),
    "s",
    tuple(
        Prom(
            f"histogram_quantile({q}, sum by (le) (rate(treasury_watch_sink_batch_seconds_bucket[$__rate_interval])))",
            f"p{q * 100:.0f}",
        )
        for q in (0.5, 0.99)
    ),
)
_SINK_STATE: Final = Stat(
    Text("入库", "Sink"),
    Text(
        "入库进程是否在写入，或在等待消息代理或 PostgreSQL。",
        "Whether the sinks write, or one waits for brokers or PostgreSQL.",
    ),
    "none",
    (Prom("1 - min(treasury_watch_sink_ready) + max(treasury_watch_sink_waiting)", now=True),),
    thresholds=((1, "red"),),
    values={
        "0": Named(Text("写入中", "writes"), "green"),
        "1": Named(Text("等待消息代理", "waits for brokers"), "red"),
        "2": Named(Text("等待数据库", "waits for database"), "red"),
    },
)

ENGINE: Final = Dashboard(
    uid="treasury-engine",
    title=Text("引擎", "Engine"),
    description=Text(
        "工作进程与入库进程：速率、错误、时延、积压、快照、恢复与资源，供运维人员使用。",
        "Workers and sinks: rates, errors, latency, lag, snapshots, recovery and resources, for operators.",
    ),
    rows=(
        Row(6, ((3, _READY), (3, _SERVED), (3, _WAITING), (3, _SLOW), (3, _OLDEST), (3, _FAILED), (6, _ALERTS))),
        Row(
            8,
            ((8, _RATE), (8, _ERRORS), (8, _LAG)),
            Text("速率、错误与时延", "Rate, errors, duration"),
        ),
        Row(8, ((8, _LATENCY), (8, _EVENT_LATENCY), (8, _WITHIN))),
        Row(8, ((6, _AGE), (6, _SNAPSHOT), (6, _KEYS), (6, _WRITTEN)), Text("状态与恢复", "State and recovery")),
        Row(8, ((6, _RECOVERY), (6, _TAKEN_OVER), (6, _STANDBY), (6, _CONTROL))),
        Row(8, ((8, _CPU), (8, _BUSY), (8, _MEMORY)), Text("资源", "Resources")),
        Row(8, ((8, _ENGINE), (8, _BATCH), (8, _GC))),
        Row(8, ((12, _FILES), (12, _DISK))),
        Row(
            8,
            ((4, _SINK_STATE), (7, _SINK_ROWS), (7, _SINK_LAG), (6, _SINK_BATCH)),
            Text("案件入库", "Sink of cases"),
        ),
    ),
    choices=(
        PROMETHEUS_CHOICE,
        Choice("instance", Text("进程", "Worker"), Prom("label_values(treasury_watch_engine_seconds_count, instance)")),
        Choice("partition", Text("分区", "Partition"), Prom("label_values(treasury_watch_lag, partition)")),
    ),
    since="now-1h",
    refresh="30s",
)
