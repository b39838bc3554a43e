"use strict";

const POLL_MS = 2000;
const PATIENCE_MS = 10000;
const LANGUAGES = { zh: "zh-CN", en: "en" };
const VERDICTS = { warn: ["▲ 预警", "▲ warn"], intercept: ["■ 拦截", "■ intercept"], prohibit: ["✕ 禁止", "✕ prohibit"] };
const LEVELS = { grey: ["灰色", "grey"], red: ["红色", "red"], orange: ["橙色", "orange"], yellow: ["黄色", "yellow"], blue: ["蓝色", "blue"] };
const COLUMNS = [["time", "提交时间", "Submitted"], ["verdict", "判定", "Verdict"], ["payment", "单位 → 收款人", "Unit → payee"], ["amount", "金额", "Amount"], ["reason", "规则和理由", "Rule and reason"]];
const CONDITIONS = {
  ready: ["就绪：正在判定", "ready: judging payments"],
  "taking over partitions": ["未就绪：正在接管分区", "not ready: taking over partitions"],
  "waiting for brokers": ["未就绪：等待消息服务器", "not ready: waiting for brokers"],
};

const byId = (id) => document.getElementById(id);
const language = () => (document.documentElement.lang === "en" ? "en" : "zh");
let cases = ""; // which ones are shown: of which worker, up to which number
let answered = ""; // when the worker last answered

// Every text goes in as text, never as markup: names, purposes and reasons come from outside.
function element(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

function both(zh, en) {
  const parts = [element("span", "z", zh), element("span", "e", en)];
  parts[0].lang = LANGUAGES.zh;
  parts[1].lang = LANGUAGES.en;
  return parts;
}

// A text from outside, which may run from right to left, and does not turn what stands beside it.
const foreign = (text) => element("bdi", "", text);

const grouped = (number) => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const money = (text) => text.replace(/\d+/, grouped);
const clock = (moment) => moment.toLocaleTimeString("en-GB");
const milliseconds = (value) => (value === null ? "–" : value < 10 ? `${value.toFixed(1)} ms` : value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`);

function set(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

function say(kind, zh, en) {
  document.body.classList.toggle("lost", kind === "lost");
  const banner = byId("banner");
  if (banner.className === kind && banner.lastChild.textContent === en) return;
  banner.className = kind;
  banner.replaceChildren(...both(zh, en));
}

function showFigures(found) {
  for (const [verdict, count] of Object.entries(found.verdicts)) set(verdict, grouped(count));
  set("held_cny", money(found.held_cny));
  set("per_second", found.per_second === null ? "–" : grouped(Math.round(found.per_second)));
  set("lag", grouped(found.lag));
  set("p50", milliseconds(found.latency_ms.p50));
  set("p99", milliseconds(found.latency_ms.p99));
  set("refused", grouped(found.refused));
  set("ruleset", found.ruleset);
  set("version", `treasury-watch ${found.version}`);
  const since = new Date(found.started_at);
  byId("since").dateTime = found.started_at;
  set("since", `${since.toLocaleDateString("sv-SE")} ${clock(since)}`);
  byId("updated").dateTime = found.now;
  set("updated", clock(new Date()));
}

function partition(each, ready) {
  const lag = each.lag ? [`，待判定 ${grouped(each.lag)}`, `, lag ${grouped(each.lag)}`] : ["", ""];
  const warming = each.warming ? [`，${each.warming} 个窗口预热中`, `, ${each.warming} windows warming`] : ["", ""];
  const other = ready ? ["其他进程", "another worker"] : ["未判定", "not judged"];
  const state = each.judged ? [`✓ 判定中${lag[0]}${warming[0]}`, `✓ judging${lag[1]}${warming[1]}`] : other;
  return element("li", each.judged ? "judged" : "", ...both(`${each.number} ${state[0]}`, `${each.number} ${state[1]}`));
}

function caseRow(each) {
  const account = each.payee_account ? element("span", "id", ` ${each.payee_account}`) : "";
  const payment = element("td", "payment",
    element("span", "line", foreign(each.budget_unit), " → ", foreign(each.payee ?? "–"), account),
    each.purpose ? element("span", "line", foreign(each.purpose)) : "",
    element("span", "line id", foreign(each.instruction_id)));
  const time = element("time", "", ...[each.event_time.slice(5, 10), each.event_time.slice(11, 19)].map((part) => element("span", "line", part)));
  time.dateTime = each.event_time;
  const reasons = element("td", "reason");
  for (const hit of each.hits) {
    const said = both("", "");
    said[0].append(foreign(hit.zh));
    said[1].append(foreign(hit.en));
    reasons.append(element("span", "line", element("span", "rule", hit.rule), " ", ...said));
  }
  if (each.more_hits) reasons.append(element("span", "line id", ...both(`另有 ${each.more_hits} 条`, `and ${each.more_hits} more`)));
  const row = element("tr", "",
    element("td", "time", time),
    element("td", "verdict", element("span", `mark ${each.verdict}`, ...both(...VERDICTS[each.verdict])), element("span", "line level", ...both(...LEVELS[each.level]))),
    payment,
    element("td", "amount", money(each.amount), each.currency === "CNY" ? "" : element("span", "line", foreign(each.currency))),
    reasons);
  row.dataset.number = each.number;
  return row;
}

function showCases(table, found, zh, en) {
  if (!found.length) {
    const cell = element("td", "none", ...both(zh, en));
    cell.colSpan = COLUMNS.length;
    table.replaceChildren(element("tbody", "", element("tr", "", cell)));
    return;
  }
  const heads = COLUMNS.map(([name, ...texts]) => {
    const head = element("th", name, ...both(...texts));
    head.scope = "col";
    return head;
  });
  table.replaceChildren(element("thead", "", element("tr", "", ...heads)), element("tbody", "", ...found.map(caseRow)));
}

function show(found) {
  const ready = found.status === "ready";
  const none = Object.values(found.verdicts).every((count) => count === 0);
  const said = CONDITIONS[found.status] ?? [found.status, found.status];
  const quiet = ready && none ? ["，尚无支付", ", no payments yet"] : ["", ""];
  say(ready ? "ready" : "waiting", said[0] + quiet[0], said[1] + quiet[1]);
  showFigures(found);
  byId("partitions").replaceChildren(...found.partitions.map((each) => partition(each, ready)));
  const newest = `${found.started_at} ${found.seen}`;
  if (newest !== cases) {
    cases = newest;
    showCases(byId("held"), found.held, "尚无拦截的支付", "no payment was held yet");
    showCases(byId("warned"), found.warned, "尚无预警的支付", "no payment was warned of yet");
  }
}

// What the worker answers, with its HTTP status; null when it does not.
async function ask() {
  try {
    const answer = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    return { code: answer.status, ...(await answer.json().catch(() => ({}))) };
  } catch {
    return null;
  }
}

async function look() {
  const found = await ask();
  setTimeout(look, POLL_MS);
  if (found === null) {
    const last = answered ? [`，最后一次回答 ${answered}`, `, its last answer came at ${answered}`] : ["", ""];
    say("lost", `与工作进程失去联系${last[0]}；正在重试`, `lost the worker${last[1]}; still trying`);
    return;
  }
  answered = clock(new Date());
  if (found.code === 200) show(found);
  else say("waiting", ...(CONDITIONS[found.status] ?? [`工作进程回答：${found.code}`, `the worker answers with status ${found.code}`]));
}

byId("language").addEventListener("click", () => {
  const next = language() === "zh" ? "en" : "zh";
  document.documentElement.lang = LANGUAGES[next];
  history.replaceState(null, "", `?lang=${next}`);
});
look();
