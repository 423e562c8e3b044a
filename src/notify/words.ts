import type { Language } from "../incidents/incident.ts";
import { cleanText } from "./clean.ts";
import type { KeptDelivery, KeptNotice } from "./state.ts";
import { factReader, type Frame, type Telling, type TellingKind, type Templates, templatesOf } from "./templates.ts";

/** Where a message points to. */
export interface NoticeLinks {
  /** Page where the notice is acknowledged, signed; undefined: the command is named alone. */
  readonly acknowledge: string | undefined;
  /** The dashboard; undefined: not known. */
  readonly dashboard: string | undefined;
}

/** A message in every form that a channel may need. */
export interface Words {
  /** One line, without control characters. */
  readonly subject: string;
  /** Plain text of several lines. */
  readonly text: string;
  /** A whole HTML document. */
  readonly html: string;
  /** Slack mrkdwn, with its special characters escaped. */
  readonly slack: string;
}

/** A message that goes out so long after it was due says so, milliseconds. */
const LATE_MS = 120_000;
const MOST_SUBJECT = 180;
const MINUTE = 60_000;
/** Until when after a rollback which text of the flow fits, milliseconds. */
const FLOW_UNTIL_MS: readonly number[] = [5 * MINUTE, 15 * MINUTE, 30 * MINUTE, 120 * MINUTE, 1_440 * MINUTE];

/** What a delivery says at `now`, when it is sent: how things are then. */
export function wordsOf(notice: KeptNotice, delivery: KeptDelivery, language: Language, links: NoticeLinks, now: number): Words {
  const templates = templatesOf(language);
  const telling = tellingOf(notice, delivery, templates, language);
  const prefix = prefixOf(notice, delivery, templates.frame);
  const subject = cleanText(
    typography(`[${notice.severity}] ${prefix}${prefix === "" ? "" : COLON[language]}${telling.title}`, language),
    MOST_SUBJECT,
  );
  const message: Message = {
    subject,
    paragraphs: [telling.happened, telling.means, telling.done, telling.next]
      .map((text) => typography(cleanText(text, MOST_PARAGRAPH), language))
      .filter((text) => text !== ""),
    state: stateLines(notice, delivery, templates.frame, now).map((text) => typography(cleanText(text, MOST_PARAGRAPH), language)),
    command: mayAcknowledge(notice, delivery) ? `crossfade notices ack ${notice.id}` : undefined,
    acknowledge: mayAcknowledge(notice, delivery) ? links.acknowledge : undefined,
    dashboard: links.dashboard,
    foot: footOf(notice, templates.frame, language),
    frame: templates.frame,
    language,
  };
  return { subject, text: plain(message), html: html(message), slack: slack(message) };
}

const COLON: Readonly<Record<Language, string>> = { en: ": ", fr: "\u00a0: " };

function footOf({ id, flag }: KeptNotice, frame: Frame, language: Language): string {
  const parts = [`${frame.notice}${COLON[language]}${id}`, ...(flag === undefined ? [] : [`${frame.flag}${COLON[language]}${flag}`])];
  return parts.join(" · ");
}

/** Facts are bounded one by one, but a paragraph has several. */
const MOST_PARAGRAPH = 2_000;

interface Message {
  readonly subject: string;
  readonly paragraphs: readonly string[];
  readonly state: readonly string[];
  /** Undefined: nothing is to be acknowledged. */
  readonly command: string | undefined;
  readonly acknowledge: string | undefined;
  readonly dashboard: string | undefined;
  readonly foot: string;
  readonly frame: Frame;
  readonly language: Language;
}

function tellingOf(notice: KeptNotice, delivery: KeptDelivery, templates: Templates, language: Language): Telling {
  const flag = notice.flag ?? "";
  if (delivery.part === "flow") {
    const fact = factReader(notice.facts, language);
    const after = delivery.dueAt - notice.openedAt;
    const index = FLOW_UNTIL_MS.filter((until) => after >= until).length;
    const template = templates.flow[index];
    if (template !== undefined) return template(fact, flag, templates.rollbackState(fact));
  }
  if (delivery.part === "end" && notice.ended !== undefined) {
    return templates.tellings[endKind(notice)](factReader({ ...notice.facts, ...notice.ended.facts }, language), flag);
  }
  const kind = delivery.part === "first" ? notice.kind : notice.latest;
  return templates.tellings[kind](factReader(notice.facts, language), flag);
}

/** Two kinds end by the name that they began with. */
function endKind({ ended, kind }: KeptNotice): TellingKind {
  const by = ended?.kind ?? kind;
  if (by === "breaker-open") return "breaker-closed";
  return by === "trigger-failing" ? "trigger-passing" : by;
}

function prefixOf(notice: KeptNotice, { part, index, policy, dueAt }: KeptDelivery, frame: Frame): string {
  switch (part) {
    case "again":
      return frame.reminder(index);
    case "level":
      return frame.level(index, policy);
    case "flow":
      return frame.flow(lengthOf(dueAt - notice.openedAt, frame));
    case "end":
      return frame.over;
    default:
      return "";
  }
}

/** How things stand: since when, how often, who looks after it, how late this comes. */
function stateLines(notice: KeptNotice, delivery: KeptDelivery, frame: Frame, now: number): readonly string[] {
  const { acknowledged, resolvedAt, openedAt, count, severity } = notice;
  const lines: string[] = [];
  lines.push(frame.since(instantText(openedAt)));
  if (count > 1) lines.push(frame.times(count));
  if (severity !== "info") {
    if (resolvedAt !== undefined) {
      lines.push(delivery.part === "end" ? frame.lasted(lengthOf(resolvedAt - openedAt, frame)) : frame.resolved(instantText(resolvedAt)));
    } else if (acknowledged !== undefined) lines.push(frame.acknowledged(acknowledged.by, instantText(acknowledged.at)));
    else lines.push(delivery.part === "level" ? frame.called(delivery.index) : frame.nobody);
  }
  const late = now - delivery.dueAt;
  if (late >= LATE_MS) lines.push(frame.late(lengthOf(late, frame)));
  return lines;
}

function mayAcknowledge({ severity, acknowledged, resolvedAt }: KeptNotice, { part }: KeptDelivery): boolean {
  return severity !== "info" && acknowledged === undefined && resolvedAt === undefined && part !== "end";
}

function plain({ subject, paragraphs, state, command, acknowledge, dashboard, foot, frame, language }: Message): string {
  const colon = COLON[language];
  const links = [
    ...(acknowledge === undefined ? [] : [`${frame.acknowledge}${colon}${acknowledge}`]),
    ...(command === undefined ? [] : [`${frame.byCommand}${colon}${command}`]),
    ...(dashboard === undefined ? [] : [`${frame.dashboard}${colon}${dashboard}`]),
  ];
  return [subject, ...paragraphs, state.join("\n"), links.join("\n"), foot].filter((text) => text !== "").join("\n\n");
}

function html({ subject, paragraphs, state, command, acknowledge, dashboard, foot, frame, language }: Message): string {
  const e = escapeHtml;
  const links = [
    ...(acknowledge === undefined ? [] : [`<p><a href="${e(acknowledge)}">${e(frame.acknowledge)}</a></p>`]),
    ...(command === undefined ? [] : [`<p>${e(frame.byCommand + COLON[language])}<code>${e(command)}</code></p>`]),
    ...(dashboard === undefined ? [] : [`<p><a href="${e(dashboard)}">${e(frame.dashboard)}</a></p>`]),
  ];
  return [
    `<!doctype html><html lang="${language}"><head><meta charset="utf-8"><title>${e(subject)}</title></head>`,
    `<body style="font-family:sans-serif;line-height:1.5"><h1 style="font-size:1.2em">${e(subject)}</h1>`,
    ...paragraphs.map((text) => `<p>${e(text)}</p>`),
    `<p>${state.map(e).join("<br>")}</p>`,
    ...links,
    `<p style="color:#555">${e(foot)}</p></body></html>`,
    "",
  ].join("\n");
}

function slack({ subject, paragraphs, state, command, acknowledge, dashboard, foot, frame }: Message): string {
  const e = escapeSlack;
  const links = [
    ...(acknowledge === undefined ? [] : [slackLink(acknowledge, frame.acknowledge)]),
    ...(command === undefined ? [] : [`\`${e(command)}\``]),
    ...(dashboard === undefined ? [] : [slackLink(dashboard, frame.dashboard)]),
  ];
  return [
    `*${e(subject).replaceAll("*", "∗")}*`,
    ...paragraphs.map(e),
    state.map(e).join("\n"),
    links.join("  ·  "),
    `_${e(foot).replaceAll("_", "_\u200b")}_`,
  ]
    .filter((text) => text !== "")
    .join("\n");
}

/** `|` and `>` would end the address. */
function slackLink(url: string, label: string): string {
  return `<${escapeSlack(url).replaceAll("|", "%7C")}|${escapeSlack(label)}>`;
}

/** The three characters that Slack gives a meaning: without them no text mentions a channel or a person. */
function escapeSlack(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function escapeHtml(text: string): string {
  return escapeSlack(text).replaceAll('"', "&quot;").replaceAll("'", "&#39;");
}

/** French has a space that does not break before `:`, `;`, `!`, `?` and `%`. */
function typography(text: string, language: Language): string {
  return language === "fr" ? text.replaceAll(/(?<=\S) (?=[:;!?%](?:\s|[.,)]|$))/g, "\u00a0") : text;
}

/** `2026-11-23 02:15 UTC` */
function instantText(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** A length in its two largest units: `2 h 5 min`. */
function lengthOf(ms: number, { units }: Frame): string {
  let rest = Math.max(0, Math.round(ms / 1_000));
  const parts: string[] = [];
  for (const [unit, seconds] of [
    ["d", 86_400],
    ["h", 3_600],
    ["min", 60],
    ["s", 1],
  ] as const) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    if (count > 0) parts.push(`${count} ${units[unit]}`);
  }
  return parts.length === 0 ? `0 ${units.min}` : parts.slice(0, 2).join(" ");
}
