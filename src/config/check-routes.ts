import { formatDuration } from "../core/quantity.ts";
import { type Draft, type DraftRoute, listOf, mappingOf } from "./draft.ts";
import { isMapping } from "./issues.ts";
import type { Finding, Path } from "./problem.ts";
import { unknownWord } from "./scalars.ts";
import type { PathPattern } from "./schema-traffic.ts";

/** What no single field shows: whether each route says one thing, names what exists, and can be reached. */
export function checkRoutes(draft: Draft): Finding[] {
  return [
    ...duplicateNames(draft),
    ...draft.routes.flatMap((route) => [
      ...checkAction(route),
      ...checkNames(route, draft),
      ...checkPaths(route),
      ...checkStableFor(route),
      ...checkReach(route, draft),
    ]),
  ];
}

export function warnAboutRoutes(draft: Draft): Finding[] {
  return draft.routes.flatMap((route) => [...warnAboutArms(route), ...warnAboutTime(route, draft)]);
}

const SPLIT_KEYS = ["stable", "candidate", "flag"] as const;

function checkAction({ index, raw }: DraftRoute): Finding[] {
  const split = SPLIT_KEYS.filter((key) => Object.hasOwn(raw, key));
  const others = ["upstream", "respond"].filter((key) => Object.hasOwn(raw, key));
  const path: Path = ["routes", index];
  const kinds = "a route either splits (stable, candidate, flag), forwards (upstream), or answers itself (respond)";
  if (split.length === 0 && others.length === 0) return [{ path, message: `says nothing about what to do; ${kinds}` }];
  if (others.length + (split.length > 0 ? 1 : 0) > 1) return [{ path, message: `has ${[...split, ...others].join(" and ")}; ${kinds}` }];
  const findings: Finding[] = [];
  if (split.length > 0) {
    for (const key of SPLIT_KEYS.filter((known) => !split.includes(known))) {
      findings.push({ path: [...path, key], message: `is missing; a route that splits needs stable, candidate and flag` });
    }
  }
  if (Object.hasOwn(raw, "path") && others[0] !== "upstream") {
    const message =
      split.length > 0
        ? "belongs to a forwarding route; here write candidate: { upstream: ..., path: ... }"
        : "belongs to a forwarding route; leave it out";
    findings.push({ path: [...path, "path"], message, at: "key" });
  }
  return findings;
}

/** The places of a route that may name an upstream, and the name there. */
function* upstreamNames({ index, raw }: DraftRoute): Generator<{ readonly path: Path; readonly name: string }> {
  for (const key of ["stable", "candidate", "upstream"]) {
    const given = raw[key];
    if (typeof given === "string") yield { path: ["routes", index, key], name: given };
    if (isMapping(given) && typeof given["upstream"] === "string")
      yield { path: ["routes", index, key, "upstream"], name: given["upstream"] };
  }
  for (const [place, given] of listOf(raw["stable_for"]).entries()) {
    const name = mappingOf(given)["upstream"];
    if (typeof name === "string") yield { path: ["routes", index, "stable_for", place, "upstream"], name };
  }
}

/** Each other stable upstream has one condition, and only a split has any. */
function checkStableFor({ index, raw, match }: DraftRoute): Finding[] {
  const given = listOf(raw["stable_for"]);
  const path: Path = ["routes", index, "stable_for"];
  if (given.length > 0 && !Object.hasOwn(raw, "stable"))
    return [{ path, message: "belongs to a route that splits; leave it out", at: "key" }];
  return given.flatMap((entry, place) => {
    const one = mappingOf(entry);
    const conditions = ["body", "header", "query"].filter((key) => Object.hasOwn(one, key));
    const findings: Finding[] = [];
    if (conditions.length !== 1) {
      const has = conditions.length === 0 ? "none" : conditions.join(" and ");
      findings.push({ path: [...path, place], message: `has ${has} of body, header and query; it needs one of them` });
    }
    const target = one["path"];
    if (typeof target === "string" && match !== undefined && target.endsWith("/**") !== match.path.prefix) {
      const message = match.path.prefix
        ? "must end in /**, as the match does, so that what follows is carried over"
        : "ends in /** but the match is a single path";
      findings.push({ path: [...path, place, "path"], message });
    }
    return findings;
  });
}

function checkNames(route: DraftRoute, { upstreams, flags }: Draft): Finding[] {
  const findings: Finding[] = [];
  for (const { path, name } of upstreamNames(route)) {
    if (upstreams === undefined || upstreams.includes(name)) continue;
    findings.push({ path, message: unknownWord("upstream", name, upstreams, "define it under upstreams") });
  }
  const flag = route.raw["flag"];
  const known = flags?.map(({ name }) => name);
  if (typeof flag === "string" && known !== undefined && !known.includes(flag)) {
    findings.push({
      path: ["routes", route.index, "flag"],
      message: unknownWord("flag", flag, known, `define it: flags: { ${flag}: { rollout_percentage: 0 } }`),
    });
  }
  return findings;
}

function duplicateNames({ routes }: Draft): Finding[] {
  const findings: Finding[] = [];
  const seen = new Map<unknown, number>();
  for (const { index, raw } of routes) {
    const first = seen.get(raw["name"]);
    if (typeof raw["name"] !== "string") continue;
    if (first === undefined) seen.set(raw["name"], index);
    else
      findings.push({
        path: ["routes", index, "name"],
        message: `${JSON.stringify(raw["name"])} is already the name of routes[${first}]; each route needs its own`,
      });
  }
  return findings;
}

/** A prefix can only be replaced by a prefix, and a whole path only by a whole path. */
function checkPaths({ index, match, stable, candidate, path, respond }: DraftRoute): Finding[] {
  const findings: Finding[] = [];
  const check = (target: PathPattern | undefined, at: Path): void => {
    if (target === undefined || match === undefined || target.prefix === match.path.prefix) return;
    const message = target.prefix
      ? `ends in /** but the match ${match.path.path} is a single path; leave /** out here, or match a prefix`
      : `must end in /**, as the match ${match.path.path}** does, so that what follows is carried over`;
    findings.push({ path: at, message });
  };
  if (typeof stable === "object") check(stable.path, ["routes", index, "stable", "path"]);
  if (typeof candidate === "object") check(candidate.path, ["routes", index, "candidate", "path"]);
  check(path, ["routes", index, "path"]);
  if (respond && respond.body !== "" && (respond.status === 204 || respond.status === 304)) {
    findings.push({
      path: ["routes", index, "respond", "body"],
      message: `an answer with status ${respond.status} has no body; leave it out, or use status 200`,
    });
  }
  return findings;
}

/** Takes away what earlier routes have taken; when nothing is left, this one can never match. */
function checkReach({ index, match }: DraftRoute, { routes }: Draft): Finding[] {
  if (match === undefined) return [];
  const left = new Set(match.methods);
  for (const earlier of routes.filter((route) => route.index < index)) {
    if (earlier.match === undefined || !covers(earlier.match.path, match.path)) continue;
    const { methods } = earlier.match;
    for (const method of methods) left.delete(method);
    if (methods.length > 0 && (left.size > 0 || match.methods.length === 0)) continue;
    const name = typeof earlier.raw["name"] === "string" ? ` (${earlier.raw["name"]})` : "";
    const message = `can never match: routes[${earlier.index}]${name} comes first and takes all of it; move this route above it, or remove one`;
    return [{ path: ["routes", index, "match"], message }];
  }
  return [];
}

function covers(earlier: PathPattern, later: PathPattern): boolean {
  // As the router has it: /api/** takes /api as well.
  if (earlier.prefix) return later.path.startsWith(earlier.path) || later.path === earlier.path.slice(0, -1);
  return !later.prefix && earlier.path === later.path;
}

function warnAboutArms({ index, stable, candidate }: DraftRoute): Finding[] {
  if (stable === undefined || JSON.stringify(stable) !== JSON.stringify(candidate)) return [];
  return [{ path: ["routes", index, "candidate"], message: "is the same as stable, so both arms go to the same place" }];
}

function warnAboutTime({ index, raw, timeoutMs = Number.POSITIVE_INFINITY }: DraftRoute, { flags }: Draft): Finding[] {
  const flag = flags?.find(({ name }) => name === raw["flag"]);
  const fallback = flag?.parsed?.fallback_system;
  if (!flag || !fallback?.enabled || fallback.conditions.response_time < timeoutMs) return [];
  const after = formatDuration(fallback.conditions.response_time);
  return [
    {
      path: ["routes", index, "timeout"],
      message: `${formatDuration(timeoutMs)} is over before the fallback of flag ${flag.name} begins (${after}), so no slow answer can be replaced`,
    },
  ];
}

/** Nothing translates: who answers in another format than the clients speak must be known to be understood by them. */
