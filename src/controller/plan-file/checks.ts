import type { Metric } from "../../analysis/check.ts";
import { METRICS } from "../../analysis/check.ts";
import { listOf, mappingOf, type Raw } from "../../config/draft.ts";
import type { Finding, Path } from "../../config/problem.ts";
import { choice, duration, readScalar, share, unknownWord } from "../../config/scalars.ts";
import { formatShare } from "../../core/quantity.ts";
import { defaultWindow, METRIC_FACTS } from "./metric-facts.ts";
import { readLimit, window } from "./scalars.ts";

/**
 * Mistakes between the parts of a plan file. They look at the file as it is, part by part, so that a mistake elsewhere does not hide them;
 * what is wrong with a part by itself is said by the schema.
 */
export function checkPlan(data: Raw): Finding[] {
  const common = listOf(data["gates"]);
  return [
    ...checkNumber(data),
    ...checkSteps(listOf(data["steps"])),
    ...checkEach("gate", common, ["gates"]),
    ...checkNames(common, ["gates"], []),
    ...listOf(data["steps"]).flatMap((step, index) => {
      const own = listOf(mappingOf(step)["gates"]);
      const path: Path = ["steps", index, "gates"];
      return [...checkEach("gate", own, path), ...checkNames(own, path, common)];
    }),
    ...checkEach("trigger", listOf(data["triggers"]), ["triggers"]),
    ...checkNames(listOf(data["triggers"]), ["triggers"], []),
    ...checkOnce(listOf(mappingOf(data["rollback"])["hooks"]), ["rollback", "hooks"], "a hook runs once"),
    ...checkOnce(listOf(mappingOf(data["calendar"])["days"]), ["calendar", "days"], "keep one"),
  ];
}

/** Each is judged every second. */
const MOST_CHECKS = 200;

function checkNumber(data: Raw): Finding[] {
  const own = listOf(data["steps"]).map((step) => listOf(mappingOf(step)["gates"]));
  const count = [listOf(data["gates"]), listOf(data["triggers"]), ...own].reduce((sum, checks) => sum + checks.length, 0);
  return count <= MOST_CHECKS
    ? []
    : [{ path: [], message: `has ${count} gates and triggers, steps' own gates included; a plan has ${MOST_CHECKS} at most` }];
}

function checkSteps(steps: readonly unknown[]): Finding[] {
  const names = steps.map((step) => stepName(mappingOf(step)));
  return steps.flatMap((step, index) => {
    const { approvals, webhooks, name } = mappingOf(step);
    const path: Path = ["steps", index];
    const first = names[index] === undefined ? index : names.indexOf(names[index]);
    const clash: Finding[] =
      first < index
        ? [
            {
              path: name === undefined ? path : [...path, "name"],
              message: `${JSON.stringify(names[index])} is already the name of steps[${first}]; give it a name of its own`,
            },
          ]
        : [];
    return [
      ...clash,
      ...checkOnce(listOf(approvals), [...path, "approvals"], "each role approves once, so name a second one for a second person"),
      ...checkOnce(listOf(webhooks), [...path, "webhooks"], "keep one"),
    ];
  });
}

/** The name that a step has or gets; undefined where none can be made. */
export function stepName({ name, percentage }: Raw): string | undefined {
  if (name !== undefined) return typeof name === "string" ? name : undefined;
  const reading = readScalar(share, percentage);
  return "value" in reading ? `at-${formatShare(reading.value)}` : undefined;
}

function checkOnce(values: readonly unknown[], path: Path, advice: string): Finding[] {
  const texts = values.map(String);
  return texts.flatMap((text, index) =>
    texts.indexOf(text) < index ? [{ path: [...path, index], message: `${JSON.stringify(text)} is in the list twice; ${advice}` }] : [],
  );
}

/** The name that a check has or gets; undefined where none can be made. */
export function checkName({ name, metric, of }: Raw): string | undefined {
  if (name !== undefined) return typeof name === "string" ? name : undefined;
  if (typeof metric !== "string") return undefined;
  return of === undefined || of === "candidate" ? metric : `${metric}-${String(of)}`;
}

/** `others` apply beside these. */
function checkNames(checks: readonly unknown[], path: Path, others: readonly unknown[]): Finding[] {
  const names = checks.map((check) => checkName(mappingOf(check)));
  const taken = new Set(others.map((check) => checkName(mappingOf(check))));
  return names.flatMap((name, index) => {
    if (name === undefined) return [];
    const twice = names.indexOf(name) < index || taken.has(name);
    const at: Path = [...path, index];
    return twice
      ? [
          {
            path: at,
            message: `${JSON.stringify(name)} is already the name of another ${path.includes("gates") ? "gate" : "trigger"}; give it a name: of its own`,
          },
        ]
      : [];
  });
}

function checkEach(kind: "gate" | "trigger", checks: readonly unknown[], path: Path): Finding[] {
  return checks.flatMap((check, index) => checkOne(kind, mappingOf(check), [...path, index]));
}

const METRIC = choice(METRICS);
const OF = choice(["candidate", "ratio", "difference"]);

function checkOne(kind: "gate" | "trigger", raw: Raw, path: Path): Finding[] {
  const findings: Finding[] = [];
  const { at_most, at_least } = raw;
  if (Object.keys(raw).length > 0 && (at_most === undefined) === (at_least === undefined)) {
    findings.push({
      path,
      message: `has ${at_most === undefined ? "neither at_most nor" : "both at_most and"} at_least; a check needs one of the two`,
    });
  }
  const reading = readScalar(METRIC, raw["metric"]);
  if ("wrong" in reading) return findings;
  return [...findings, ...checkMeaning(reading.value, raw, path), ...(kind === "trigger" ? checkDuration(reading.value, raw, path) : [])];
}

/** What the metric allows. */
function checkMeaning(metric: Metric, raw: Raw, path: Path): Finding[] {
  const facts = METRIC_FACTS[metric];
  const findings: Finding[] = [];
  const of = readScalar(OF, raw["of"] ?? "candidate");
  if ("value" in of && !facts.of.includes(of.value)) {
    findings.push({ path: [...path, "of"], message: `${metric} is never compared with the stable arm, which has none; leave of: out` });
  } else if ("value" in of) {
    for (const key of ["at_most", "at_least"]) {
      const given = raw[key];
      if (given === undefined || given === null || typeof given === "object") continue;
      const limit = readLimit(metric, of.value, String(given));
      if ("wrong" in limit) findings.push({ path: [...path, key], message: limit.wrong });
    }
  }
  const { each, route, segment } = raw;
  const whole = facts.family === "signal" ? "the whole system" : "users";
  if (!facts.byRoute && route !== undefined)
    findings.push({ path: [...path, "route"], message: `${metric} is of ${whole}, not of a route; leave it out` });
  if (!facts.byRoute && each === "route") findings.push({ path: [...path, "each"], message: `${metric} is of ${whole}, not of a route` });
  if (!facts.bySegment && segment !== undefined)
    findings.push({ path: [...path, "segment"], message: `${metric} is of ${whole}, not of a segment; leave it out` });
  if (!facts.bySegment && each === "segment")
    findings.push({ path: [...path, "each"], message: `${metric} is of ${whole}, not of a segment` });
  if ((each === "route" && route !== undefined) || (each === "segment" && segment !== undefined))
    findings.push({ path: [...path, "each"], message: `names one ${each} besides; keep either of the two` });
  if (facts.family === "people" && raw["window"] !== undefined) {
    const span = readScalar(window, raw["window"]);
    if ("value" in span && span.value.kind === "last" && span.value.ms < 60_000)
      findings.push({ path: [...path, "window"], message: `${metric} is counted by the minute; expected a window of 1m or longer` });
  }
  return findings;
}

const LASTING = duration({ min: 0, max: 86_400_000 });

/** What must last can only be seen in a window that slides. */
function checkDuration(metric: Metric, raw: Raw, path: Path): Finding[] {
  const lasting = readScalar(LASTING, raw["for"] ?? "0");
  if ("wrong" in lasting || lasting.value === 0) return [];
  if (metric === "security" || metric === "sessions_lost")
    return [{ path: [...path, "for"], message: `says nothing of ${metric}, which is counted whenever it is told; leave for: out` }];
  const span = raw["window"] === undefined ? { value: defaultWindow("trigger", metric, lasting.value) } : readScalar(window, raw["window"]);
  if ("wrong" in span || span.value.kind === "last") return [];
  const has =
    raw["window"] === undefined
      ? `the window of ${metric} is ${span.value.kind} where none is given`
      : `window: ${span.value.kind} only grows`;
  return [{ path: [...path, "for"], message: `needs a window that slides, and ${has}; write window: 1m, or leave for: out` }];
}

/** Names that the plan uses and that are known elsewhere. */
export interface KnownNames {
  /** Undefined: not known, so nothing is said. */
  readonly flags:
    | readonly { readonly name: string; readonly segments: readonly string[]; readonly routes: readonly string[] }[]
    | undefined;
  readonly hooks: readonly string[] | undefined;
}

/** What a plan names that does not exist. `data` has the form of the file. */
export function checkAgainst(data: Raw, { flags, hooks }: KnownNames): Finding[] {
  const findings: Finding[] = [];
  const expect = (what: string, name: unknown, known: readonly string[] | undefined, path: Path, none: string, at?: "key"): void => {
    if (typeof name !== "string" || known === undefined || known.includes(name)) return;
    const message = unknownWord(what, name, known, none);
    findings.push(at === undefined ? { path, message } : { path, message, at });
  };
  expect(
    "flag",
    data["flag"],
    flags?.map(({ name }) => name),
    ["flag"],
    "the configuration has no flags",
  );
  const flag = flags?.find(({ name }) => name === data["flag"]);
  for (const name of Object.keys(mappingOf(data["segments"])))
    expect("segment", name, flag?.segments, ["segments", name], "the flag has no user_segments", "key");
  const ofCheck = (check: unknown, path: Path): void => {
    const { route, segment } = mappingOf(check);
    expect("route", route, flag?.routes, [...path, "route"], "no route is split by the flag");
    expect("segment", segment, flag && [...flag.segments, "none"], [...path, "segment"], "the flag has no user_segments");
  };
  for (const key of ["gates", "triggers"]) listOf(data[key]).forEach((check, index) => ofCheck(check, [key, index]));
  const none = "the configuration has no hooks";
  listOf(data["steps"]).forEach((step, index) => {
    const { gates, webhooks } = mappingOf(step);
    listOf(gates).forEach((check, place) => ofCheck(check, ["steps", index, "gates", place]));
    listOf(webhooks).forEach((hook, place) => expect("hook", hook, hooks, ["steps", index, "webhooks", place], none));
  });
  listOf(mappingOf(data["rollback"])["hooks"]).forEach((hook, index) => expect("hook", hook, hooks, ["rollback", "hooks", index], none));
  return findings;
}
