import fc from "fast-check";
import t from "tap";
import { LANGUAGES, type Language } from "../src/incidents/incident.ts";
import { type Happening, NOTICE_KINDS } from "../src/notify/notice.ts";
import { planNotices, testOf } from "../src/notify/plan-notices.ts";
import { acknowledge, type KeptDelivery, type KeptNotice, NO_NOTICES } from "../src/notify/state.ts";
import { wordsOf } from "../src/notify/words.ts";
import { FLOW, happeningOf, ROUTED, TECHNICAL } from "./support/notices.ts";
import { HOUR, MINUTE, T0 } from "./support/rollouts.ts";

const LINKS = { acknowledge: "https://ops.example.org/notices/ntc-1/ack?by=ops&sig=a%2Bb", dashboard: "https://ops.example.org/" };
const NO_LINKS = { acknowledge: undefined, dashboard: undefined };
const PARTS = ["first", "news", "again", "level", "flow", "end"] as const;

/** Facts as the happenings have them. */
const FACTS = {
  plan: "supersmartmatch",
  step: "business",
  percentage: "25 %",
  from: "10 %",
  by: "alice",
  reason: "p95: 180 ms over 5m, at most 150 ms",
  reasons: "gate accuracy no-data: no feedback yet",
  roles: "ops, product",
  trigger: "p95",
  took: "4s",
  confirmed: "3",
  trafficTook: "220 ms",
  route: "match",
  upstream: "v2",
  instance: "one",
  why: "errors",
  incident: "inc-4",
  priority: "P1",
  impact: "degraded",
  state: "identified",
  "title.en": "Slow answers",
  "title.fr": "Réponses lentes",
  "text.en": "We are looking for the cause.",
  "text.fr": "Nous cherchons la cause.",
  maintenance: "mnt-2",
  to: String(T0 + HOUR),
  promise: "response_time",
  value: "93.1 %",
  target: "95 %",
  direction: "at-least",
  version: "v2",
  segment: "enterprise",
  budgetLeft: "-38 %",
  limit: "100 ms",
  p95: "131 ms",
  others: "2",
  channel: "ops",
};

function noticeOf(more: Partial<Happening>): KeptNotice {
  const [notice] = planNotices(NO_NOTICES, [happeningOf(more)], T0, { ...ROUTED, rollbackFlow: FLOW }).notices;
  if (notice === undefined) throw new Error("there is no notice");
  return notice;
}

function deliveryOf(notice: KeptNotice, part: KeptDelivery["part"], index: number, dueAt = T0): KeptDelivery {
  return { ...testOf("ops", "alice", T0).delivery, notice: notice.id, part, index, dueAt, policy: part === "level" ? "technical" : "" };
}

/** Of each kind in each part, open and over. */
function everyMessage(
  facts: Happening["facts"],
): { readonly name: string; readonly notice: KeptNotice; readonly delivery: KeptDelivery }[] {
  return NOTICE_KINDS.flatMap((kind) =>
    PARTS.flatMap((part) => {
      const open = noticeOf({ kind, facts, severity: "P1" });
      const notice = part === "end" ? { ...open, resolvedAt: T0 + HOUR, ended: { kind, facts: {} } } : open;
      const dues = part === "flow" ? FLOW.map(({ afterMs }) => T0 + afterMs) : [T0];
      return dues.map((dueAt, i) => ({ name: `${kind} ${part}${i}`, notice, delivery: deliveryOf(notice, part, i, dueAt) }));
    }),
  );
}

t.test("each kind says something in both languages, at every moment, whatever facts are missing", async (t) => {
  for (const facts of [FACTS, {}, { step: "", by: "" }]) {
    for (const { name, notice, delivery } of everyMessage(facts)) {
      for (const language of LANGUAGES) {
        const words = wordsOf(notice, delivery, language, LINKS, T0);
        for (const [form, text] of Object.entries(words)) {
          if (text.trim() === "") t.fail(`${name} ${language} ${form} is empty`);
          if (/undefined|null|NaN|\[object|Invalid Date/.test(text)) t.fail(`${name} ${language} ${form}: ${text}`);
          if (/ {2,}(?!·)|\(\)| \.|\.\.|: \.|, \./.test(words.subject)) t.fail(`${name} ${language}: ${words.subject}`);
        }
      }
    }
  }
});

t.test("the languages are not mixed up", async (t) => {
  for (const { name, notice, delivery } of everyMessage({})) {
    const [en, fr] = LANGUAGES.map((language: Language) => wordsOf(notice, delivery, language, LINKS, T0));
    if (en?.text === fr?.text) t.fail(`${name}: the same text`);
    if (/[éèàùç’]/.test(en?.text ?? "")) t.fail(`${name}: ${en?.text}`);
    if (/\b(?:the|is|are|was|nobody)\b/i.test(fr?.text ?? "")) t.fail(`${name}: ${fr?.text}`);
  }
});

t.test("a rollback says what happened, what it means, what is done and what to do, with the figures that decided", async (t) => {
  const notice = noticeOf({ kind: "rollout-rolling-back", facts: FACTS });
  const en = wordsOf(notice, deliveryOf(notice, "level", 2, T0), "en", LINKS, T0);
  t.equal(en.subject, "[P1] Escalation level 2 (technical): move: rollback from business (25 %) by the trigger p95");
  for (const part of [
    "p95: 180 ms over 5m, at most 150 ms",
    "served by the stable version",
    "3 instance(s) have confirmed after 220 ms",
    "Find the cause",
  ])
    t.match(en.text, part);
  t.match(en.text, "crossfade notices ack ntc-1");
  t.match(en.text, LINKS.acknowledge);
  const fr = wordsOf(notice, deliveryOf(notice, "first", 0), "fr", NO_LINKS, T0);
  t.equal(fr.subject, "[P1] move\u00a0: retour arrière depuis business (25\u00a0%) sur le déclencheur p95");
  t.match(fr.text, "crossfade notices ack ntc-1");
  t.notMatch(fr.text, /https/);
});

t.test("the flow says at each moment what belongs there", async (t) => {
  const notice = noticeOf({ kind: "rollout-rolling-back", facts: FACTS });
  const subjects = FLOW.map(
    ({ afterMs }, i) => wordsOf(notice, deliveryOf(notice, "flow", i, T0 + afterMs), "fr", LINKS, T0 + afterMs).subject,
  );
  t.same(subjects, [
    "[P1] Retour arrière +0 min\u00a0: move\u00a0: retour arrière depuis business (25\u00a0%) sur le déclencheur p95",
    "[P1] Retour arrière +5 min\u00a0: move\u00a0: où en est le retour arrière",
    "[P1] Retour arrière +15 min\u00a0: move\u00a0: ce que l’on sait du retour arrière",
    "[P1] Retour arrière +30 min\u00a0: move\u00a0: ce que le retour arrière change pour les clients",
    "[P1] Retour arrière +2 h\u00a0: move\u00a0: analyse du retour arrière",
    "[P1] Retour arrière +1 j\u00a0: move\u00a0: bilan du retour arrière",
  ]);
});

t.test("instances that have not confirmed a rollback are named", async (t) => {
  const notice = noticeOf({ kind: "rollout-rolling-back", facts: { ...FACTS, unconfirmed: "two, three", hooksFailed: "restore" } });
  t.match(wordsOf(notice, deliveryOf(notice, "flow", 1, T0 + 5 * MINUTE), "en", LINKS, T0).text, /NOT confirmed by two, three/);
  t.match(wordsOf(notice, deliveryOf(notice, "first", 0), "fr", LINKS, T0).text, /NON confirmé par two, three.*restore/s);
});

t.test("a message that comes late says by how much, and one in time does not", async (t) => {
  const notice = noticeOf({});
  const delivery = deliveryOf(notice, "first", 0);
  t.match(wordsOf(notice, delivery, "en", LINKS, T0 + 65 * MINUTE).text, "comes 1 h 5 min late");
  t.match(wordsOf(notice, delivery, "fr", LINKS, T0 + 65 * MINUTE).text, "1 h 5 min de retard");
  t.notMatch(wordsOf(notice, delivery, "en", LINKS, T0 + 10_000).text, /late/);
});

t.test("a message says who looks after it, how often it happened, and how long it lasted", async (t) => {
  let state = planNotices(NO_NOTICES, [happeningOf(), happeningOf(), happeningOf()], T0, { ...ROUTED, escalations: [TECHNICAL] });
  const done = acknowledge(state, "ntc-1", "Zoé", "cli", T0 + MINUTE);
  t.ok("state" in done);
  if (!("state" in done)) return;
  state = done.state;
  const [notice] = state.notices;
  if (notice === undefined) return;
  const text = wordsOf(notice, deliveryOf(notice, "news", 1), "en", LINKS, T0).text;
  t.match(text, /Zoé looks after it \(acknowledged 2026-11-23 09:01 UTC\)/);
  t.match(text, /happened 3 times/);
  t.notMatch(text, /notices ack/, "nothing is to be acknowledged any more");
  const over = planNotices(state, [happeningOf({ kind: "unkilled", resolves: true, severity: "info", at: T0 + HOUR })], T0 + HOUR, ROUTED)
    .notices[0];
  t.match(
    over && wordsOf(over, deliveryOf(over, "end", 0, T0 + HOUR), "en", LINKS, T0 + HOUR).text,
    /\[P1\] Over: move: the kill switch was released.*It lasted 1 h\./s,
  );
});

t.test("an incident is told in the language of the channel, or in the one that there is", async (t) => {
  const notice = noticeOf({ kind: "incident-opened", facts: FACTS, flag: undefined });
  t.match(wordsOf(notice, deliveryOf(notice, "first", 0), "fr", LINKS, T0).subject, "Incident inc-4\u00a0: Réponses lentes");
  const english = noticeOf({ kind: "incident-opened", facts: { incident: "inc-4", "title.en": "Slow answers" } });
  t.match(wordsOf(english, deliveryOf(english, "first", 0), "fr", LINKS, T0).subject, "Incident inc-4\u00a0: Slow answers");
});

t.test("what people write cannot break out of a message", async (t) => {
  const hostile = 'x<!channel> <script>alert("1")</script>\r\nBcc: a@b.c\u2028& <https://evil|click> \u202egnp';
  const facts = Object.fromEntries(Object.keys(FACTS).map((name) => [name, hostile]));
  for (const { name, notice, delivery } of everyMessage(facts)) {
    for (const language of LANGUAGES) {
      const { subject, text, html, slack } = wordsOf({ ...notice, flag: hostile }, delivery, language, LINKS, T0);
      if (/[\p{Cc}\u2028\u2029\u202e]/u.test(subject)) t.fail(`${name}: ${JSON.stringify(subject)}`);
      if (/\r|\u202e/.test(text)) t.fail(`${name}: ${JSON.stringify(text)}`);
      if (/<script|<!channel|<https:\/\/evil/.test(html) || /<script|<!|<https:\/\/evil/.test(slack)) t.fail(`${name}: ${html}\n${slack}`);
      if (text.split("\n").some((line) => line.startsWith("Bcc:"))) t.fail(`${name}: a line of its own: ${text}`);
    }
  }
});

t.test("whatever stands in the facts, html and Slack have no markup but their own", async () => {
  const kinds = fc.constantFrom(...NOTICE_KINDS);
  const anything = fc.string({ unit: "binary", maxLength: 300 });
  fc.assert(
    fc.property(
      kinds,
      fc.constantFrom(...LANGUAGES),
      fc.dictionary(fc.constantFrom(...Object.keys(FACTS)), anything),
      (kind, language, facts) => {
        const notice = noticeOf({ kind, facts });
        const { subject, html, slack } = wordsOf(notice, deliveryOf(notice, "first", 0), language, LINKS, T0);
        if (/[\r\n]/.test(subject) || subject.length > 200) throw new Error(subject);
        const tags = html.match(/<\/?[a-z!]\w*/g) ?? [];
        const own = new Set(["<!doctype", "<html", "<head", "<meta", "<title", "<body", "<h1", "<p", "<br", "<a", "<code"]);
        const strange = tags.map((tag) => tag.replace("</", "<")).filter((tag) => !own.has(tag));
        if (strange.length > 0) throw new Error(`${strange.join()} in ${html}`);
        if ((slack.match(/</g) ?? []).length !== 2) throw new Error(slack);
      },
    ),
    { numRuns: 300 },
  );
});
