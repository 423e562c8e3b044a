import { parseDuration } from "../core/quantity.ts";
import { type Draft, listOf, mappingOf, type Raw } from "./draft.ts";
import { isMapping } from "./issues.ts";
import type { Finding, Path } from "./problem.ts";
import { OWN_FIELDS, TOKEN, unknownWord } from "./scalars.ts";

const FORMS = ["slack", "email", "webhook"] as const;

/** Whether channels are of one kind each, those that are named exist, and times rise. */
export function checkNotifications({ raw }: Draft): Finding[] {
  const given = mappingOf(raw["notifications"]);
  const top: Path = ["notifications"];
  const channels = mappingOf(given["channels"]);
  const known = Object.keys(channels);
  const findings = Object.entries(channels).flatMap(([name, channel]) =>
    isMapping(channel) ? checkChannel([...top, "channels", name], channel) : [],
  );
  const names = (holder: unknown, path: Path): Finding[] =>
    listOf(mappingOf(holder)["channels"]).flatMap((name, index) =>
      typeof name !== "string" || known.includes(name)
        ? []
        : [{ path: [...path, "channels", index], message: unknownWord("channel", name, known, "define it under notifications.channels") }],
    );
  const moments = (holder: unknown, path: Path): Finding[] => [
    ...listOf(holder).flatMap((moment, index) => names(moment, [...path, index])),
    ...checkOrder(listOf(holder), path),
  ];
  listOf(given["routes"]).forEach((route, index) => findings.push(...names(route, [...top, "routes", index])));
  for (const [name, escalation] of Object.entries(mappingOf(given["escalations"])))
    findings.push(...moments(mappingOf(escalation)["levels"], [...top, "escalations", name, "levels"]));
  findings.push(...moments(given["rollback_flow"], [...top, "rollback_flow"]));
  return findings;
}

function checkChannel(path: Path, channel: Raw): Finding[] {
  const findings: Finding[] = [];
  const forms = FORMS.filter((form) => channel[form] !== undefined);
  if (forms.length !== 1) {
    const has = forms.length === 0 ? "none of slack, email and webhook" : forms.join(" and ");
    findings.push({ path, message: `has ${has}; a channel needs one of slack, email and webhook` });
  }
  const seen = new Set<string>();
  for (const field of Object.keys(mappingOf(channel["headers"]))) {
    const small = field.toLowerCase();
    const at = { path: [...path, "headers", field], at: "key" as const };
    if (!TOKEN.test(field)) findings.push({ ...at, message: "is not the name of a header; expected one such as Authorization" });
    else if (OWN_FIELDS.test(small)) findings.push({ ...at, message: "is set by the program itself; leave it out" });
    else if (seen.has(small)) findings.push({ ...at, message: "is given twice (names are compared without case); keep one" });
    seen.add(small);
  }
  if (forms.includes("webhook") || forms.length === 0) return findings;
  for (const key of ["headers", "secret"]) {
    if (channel[key] !== undefined)
      findings.push({ path: [...path, key], message: `means nothing to ${forms[0] ?? ""}; it belongs to a webhook`, at: "key" });
  }
  return findings;
}

function checkOrder(moments: readonly unknown[], path: Path): Finding[] {
  let before = -1;
  return moments.flatMap((moment, index) => {
    const { after } = mappingOf(moment);
    const ms = after === undefined ? undefined : parseDuration(String(after));
    if (ms === undefined) return [];
    const early = ms <= before;
    before = Math.max(before, ms);
    return early
      ? [{ path: [...path, index, "after"], message: `${String(after)} is not later than what stands before it; put them in order` }]
      : [];
  });
}
