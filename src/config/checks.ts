import { collide, isEverywhere, isLoopback, socketAddress, type SocketAddress } from "./addresses.ts";
import { formatDuration, formatShare, parseDuration } from "../core/quantity.ts";
import { checkNotifications } from "./check-notify.ts";
import { checkRoutes, warnAboutRoutes } from "./check-routes.ts";
import { type Draft, listOf, mappingOf } from "./draft.ts";
import { isMapping } from "./issues.ts";
import type { Finding, Path } from "./problem.ts";
import { OWN_FIELDS, readScalar, TOKEN, unknownWord } from "./scalars.ts";

/** Mistakes between the parts of a file. */
export function checkAll(draft: Draft): Finding[] {
  return [
    ...checkListeners(draft),
    ...checkAdmin(draft),
    ...checkPeople(draft),
    ...checkStatusPage(draft),
    ...checkHooks(draft),
    ...checkNotifications(draft),
    ...checkRoutes(draft),
    ...checkSegments(draft),
    ...checkOverrides(draft),
    ...checkLists(draft),
    ...checkIdentity(draft),
  ];
}

/** What is allowed but probably not meant. */
export function warnAll(draft: Draft): Finding[] {
  return [
    ...warnAboutRoutes(draft),
    ...warnAboutTrust(draft),
    ...warnAboutIdentity(draft),
    ...warnAboutAccuracy(draft),
    ...warnAboutAuthorities(draft),
    ...warnAboutUnused(draft),
    ...warnAboutLease(draft),
  ];
}

function show({ host, port }: SocketAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function checkListeners({ listeners }: Draft): Finding[] {
  const findings: Finding[] = [];
  listeners.forEach(({ name, address }, index) => {
    const earlier = listeners.slice(0, index);
    const sameName = earlier.findIndex((other) => other.name === name);
    if (sameName >= 0) {
      findings.push({
        path: ["listeners", index, "name"],
        message: `${JSON.stringify(name)} is already the name of listeners[${sameName}]; give each listener a name of its own`,
      });
    }
    const collision = address && collisionOf(address, earlier);
    if (collision !== undefined) findings.push({ path: ["listeners", index, "address"], message: `${collision}; use another port` });
  });
  return findings;
}

function checkAdmin({ admin: { address, hasToken }, listeners, raw }: Draft): Finding[] {
  if (address === undefined) return [];
  const hasPeople = Object.keys(peopleOf(raw)).length > 0;
  const findings: Finding[] = [];
  const path: Path = ["admin", "address"];
  if (!isLoopback(address.host) && !hasToken && !hasPeople) {
    const message = `${show(address)} can be reached from other machines, and whoever reaches it can move the traffic; set admin.token, or use 127.0.0.1:${address.port}`;
    findings.push({ path, message });
  }
  const collision = collisionOf(address, listeners);
  if (collision !== undefined) findings.push({ path, message: `${collision}; the admin side needs a port of its own` });
  return findings;
}

function peopleOf(raw: Draft["raw"]): Draft["raw"] {
  return mappingOf(mappingOf(raw["admin"])["people"]);
}

function checkStatusPage({ admin, listeners, raw }: Draft): Finding[] {
  const given = mappingOf(raw["status_page"])["address"];
  const reading = given === undefined ? undefined : readScalar(socketAddress(true), given);
  if (reading === undefined || !("value" in reading)) return [];
  const collision = collisionOf(reading.value, listeners);
  const onAdmin = admin.address !== undefined && collide(admin.address, reading.value);
  const why = collision ?? (onAdmin ? `${show(reading.value)} is the address of the admin side` : undefined);
  return why === undefined ? [] : [{ path: ["status_page", "address"], message: `${why}; the status page needs a port of its own` }];
}

/** A token that two share would prove nothing. */
function checkPeople({ raw }: Draft): Finding[] {
  const findings: Finding[] = [];
  const owners = new Map<string, string>();
  const shared = mappingOf(raw["admin"])["token"];
  if (shared !== undefined && shared !== "") owners.set(String(shared), "the token of the admin API");
  for (const [name, person] of Object.entries(peopleOf(raw))) {
    const { token } = mappingOf(person);
    if (token === undefined || token === null || token === "") continue;
    const owner = owners.get(String(token));
    if (owner === undefined) owners.set(String(token), `that of ${name}`);
    else findings.push({ path: ["admin", "people", name, "token"], message: `is also ${owner}; give each person a token of his own` });
  }
  return findings;
}

function checkHooks({ raw }: Draft): Finding[] {
  return Object.entries(mappingOf(raw["hooks"])).flatMap(([name, hook]) => (isMapping(hook) ? checkHook(["hooks", name], hook) : []));
}

function checkHook(path: Path, { command, webhook, headers, secret }: Draft["raw"]): Finding[] {
  const findings: Finding[] = [];
  if ((command === undefined) === (webhook === undefined)) {
    const has = command === undefined ? "neither command nor" : "both command and";
    findings.push({ path, message: `has ${has} webhook; a hook needs one of the two` });
  }
  if (listOf(command)[0] === "")
    findings.push({ path: [...path, "command", 0], message: "is empty; expected a program, such as ./restore.sh" });
  const seen = new Set<string>();
  for (const field of Object.keys(mappingOf(headers))) {
    const small = field.toLowerCase();
    const at = { path: [...path, "headers", field], at: "key" as const };
    if (!TOKEN.test(field)) findings.push({ ...at, message: "is not the name of a header; expected one such as Authorization" });
    else if (OWN_FIELDS.test(small)) findings.push({ ...at, message: "is set by the program itself; leave it out" });
    else if (seen.has(small)) findings.push({ ...at, message: "is given twice (names are compared without case); keep one" });
    seen.add(small);
  }
  if (webhook !== undefined || command === undefined) return findings;
  for (const [key, value] of Object.entries({ headers, secret })) {
    if (value !== undefined)
      findings.push({ path: [...path, key], message: "means nothing to a command; it belongs to a webhook", at: "key" });
  }
  return findings;
}

/** A leader that looks up too seldom would lose the lead between two looks. */
function warnAboutLease({ raw }: Draft): Finding[] {
  const given = mappingOf(raw["rollout"]);
  const leaseMs = parseDuration(String(given["lease"] ?? "3s")) ?? 0;
  const evaluateMs = parseDuration(String(given["evaluate"] ?? "1s")) ?? 0;
  if (leaseMs >= 2 * evaluateMs) return [];
  const message = `${formatDuration(leaseMs)} is less than two looks of ${formatDuration(evaluateMs)} (rollout.evaluate), so one late look loses the lead; make it three times as long`;
  return [{ path: given["lease"] === undefined ? ["rollout", "evaluate"] : ["rollout", "lease"], message }];
}

function collisionOf(address: SocketAddress, listeners: Draft["listeners"]): string | undefined {
  const index = listeners.findIndex((listener) => listener.address !== undefined && collide(listener.address, address));
  const other = listeners[index]?.address;
  return other && `${show(address)} collides with listeners[${index}] on ${show(other)}`;
}

function segmentsOf({ flags }: Draft): readonly string[] {
  return [...new Set(flags?.flatMap(({ segments }) => segments))];
}

function checkSegments(draft: Draft): Finding[] {
  const findings: Finding[] = [];
  for (const { name, segments } of draft.flags ?? []) {
    if (!segments.includes("none")) continue;
    findings.push({
      path: ["flags", name, "user_segments", "none"],
      message: "none is the name for users without a segment; choose another",
      at: "key",
    });
  }
  const known = segmentsOf(draft);
  const seen = new Set<string>();
  for (const [value, segment] of Object.entries(mappingOf(mappingOf(draft.raw["segment_header"])["values"]))) {
    const path: Path = ["segment_header", "values", value];
    if (typeof segment === "string" && !known.includes(segment)) {
      findings.push({ path, message: unknownWord("segment", segment, known, "define it under the user_segments of a flag") });
    }
    if (seen.has(value.toLowerCase()))
      findings.push({ path, message: `${JSON.stringify(value)} is given twice (values are compared without case); keep one`, at: "key" });
    seen.add(value.toLowerCase());
  }
  return findings;
}

function checkOverrides({ raw }: Draft): Finding[] {
  const findings: Finding[] = [];
  const seen = new Map<string, number>();
  listOf(raw["overrides"]).forEach((override, index) => {
    if (!isMapping(override)) return;
    const path: Path = ["overrides", index];
    const { header, query, value } = override;
    if ((header === undefined) === (query === undefined)) {
      findings.push({
        path,
        message: `has ${header === undefined ? "neither header nor" : "both header and"} query; an override needs one of the two`,
      });
      return;
    }
    const key = JSON.stringify([typeof header === "string" ? header.toLowerCase() : null, query, String(value)]);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, index);
    else findings.push({ path, message: `asks for the same as overrides[${first}]; keep one` });
  });
  return findings;
}

/** Lists in which nothing may stand twice. */
function checkLists({ raw, identity }: Draft): Finding[] {
  const findings: Finding[] = [];
  const once = (values: readonly unknown[], path: Path): void => {
    const texts = values.map((value) => JSON.stringify(value));
    texts.forEach((text, index) => {
      if (texts.indexOf(text) < index) findings.push({ path: [...path, index], message: `is in the list twice; keep one` });
    });
  };
  once(identity ?? [], ["identity"]);
  for (const [name, upstream] of Object.entries(mappingOf(raw["upstreams"])))
    once(listOf(mappingOf(upstream)["endpoints"]), ["upstreams", name, "endpoints"]);
  return findings;
}

function warnAboutTrust({ trustedHops, raw, identity }: Draft): Finding[] {
  const findings: Finding[] = [];
  trustedHops?.forEach((network, index) => {
    if (!isEverywhere(network)) return;
    findings.push({
      path: ["trusted_hops", index],
      message: `${network} trusts every client, so anyone may choose an arm; name the load balancer's own network`,
    });
  });
  if (trustedHops === undefined || trustedHops.length > 0) return findings;
  const without = "has no effect, since trusted_hops is empty; list the load balancer's address there";
  if (listOf(raw["overrides"]).length > 0) findings.push({ path: ["overrides"], message: without, at: "key" });
  if (raw["segment_header"] !== undefined) findings.push({ path: ["segment_header"], message: without, at: "key" });
  identity?.forEach((source, index) => {
    if (source.kind === "header" && source.trustedOnly) findings.push({ path: ["identity", index], message: without });
  });
  return findings;
}

function checkIdentity({ identity }: Draft): Finding[] {
  if (identity === undefined || identity.some(({ kind }) => kind !== "claim")) return [];
  const message =
    "no source is left: claims are passed over, since tokens are not verified in this version; add header:x-user-id or cookie";
  return [{ path: ["identity", 0], message }];
}

function warnAboutIdentity(draft: Draft): Finding[] {
  return [...warnAboutClaims(draft), ...warnAboutAddress(draft)];
}

function warnAboutClaims({ identity }: Draft): Finding[] {
  const message =
    "is passed over: tokens are not verified in this version; let the gateway that verifies them send a header, and use trusted-header:NAME";
  return (identity ?? []).flatMap(({ kind }, index) => (kind === "claim" ? [{ path: ["identity", index], message }] : []));
}

function warnAboutAddress({ identity }: Draft): Finding[] {
  const address = identity?.findIndex(({ kind }) => kind === "address") ?? -1;
  if (identity === undefined || address < 0 || address === identity.length - 1) return [];
  return [{ path: ["identity", address + 1], message: "is never asked: every client has an address, which stands before it" }];
}

/** The slip of those who think of a share as 0..1. */
function warnAboutAccuracy({ flags }: Draft): Finding[] {
  return (flags ?? []).flatMap(({ name, parsed }) => {
    const basisPoints = parsed?.fallback_system.conditions.accuracy ?? 0;
    if (basisPoints === 0 || basisPoints > 100) return [];
    const message = `is ${formatShare(basisPoints)} %, which nearly every answer reaches; 85 % is written 85 or 85%, and 0 if none is meant`;
    return [{ path: ["flags", name, "fallback_system", "conditions", "accuracy"], message }];
  });
}

function warnAboutAuthorities({ raw }: Draft): Finding[] {
  return Object.entries(mappingOf(raw["upstreams"])).flatMap(([name, upstream]) => {
    const { tls, endpoints } = mappingOf(upstream);
    const secure = listOf(endpoints).some((endpoint) => /^\s*https:/i.test(String(endpoint)));
    if (tls === undefined || secure) return [];
    return [{ path: ["upstreams", name, "tls"], message: "has no effect: no endpoint of this upstream is https://", at: "key" as const }];
  });
}

function warnAboutUnused({ flags, upstreams, routes }: Draft): Finding[] {
  const named = JSON.stringify(routes.map(({ raw }) => raw));
  const unused = (name: string): boolean => !named.includes(JSON.stringify(name));
  return [
    ...(upstreams ?? []).filter(unused).map((name) => ({ path: ["upstreams", name], message: "is used by no route", at: "key" as const })),
    ...(flags ?? [])
      .filter(({ name }) => unused(name))
      .map(({ name }) => ({ path: ["flags", name], message: "is used by no route", at: "key" as const })),
  ];
}
