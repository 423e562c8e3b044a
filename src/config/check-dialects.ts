import { DIALECT_NAMES, SIGNS, type Sign } from "../core/words.ts";
import { type Draft, listOf, mappingOf, type Raw } from "./draft.ts";
import { type Finding, type Path, show } from "./problem.ts";
import { unknownWord } from "./scalars.ts";
import type { Surroundings } from "./surroundings.ts";

/** What each sign looks at, as keys of `signs.paths`. */
const NEEDS: Readonly<Record<Sign, readonly string[]>> = {
  "not-json": [],
  "success-false": ["success"],
  "fallback-flag": ["fallback_flags"],
  "fallback-algorithm": ["algorithm"],
  "empty-matches": ["matches", "request_ids"],
  "missing-ids": ["answer_ids", "request_ids"],
  "foreign-ids": ["answer_ids", "request_ids"],
  "equal-scores": ["scores"],
};

/** Whether dialects that are named exist, and signs know where to look. */
export function checkDialects({ raw }: Draft, surroundings: Surroundings): Finding[] {
  const own = mappingOf(raw["dialects"]);
  const known = [...new Set([...DIALECT_NAMES, ...Object.keys(own)])];
  const findings = checkModules(own, surroundings);
  const check = (given: unknown, path: Path): void => {
    if (typeof given !== "string" || known.includes(given)) return;
    findings.push({ path, message: unknownWord("dialect", given, known, "name a module of yours under dialects") });
  };
  for (const [name, upstream] of Object.entries(mappingOf(raw["upstreams"]))) {
    const { dialect, signs } = mappingOf(upstream);
    check(dialect, ["upstreams", name, "dialect"]);
    if (signs !== undefined && dialect === undefined) findings.push(...checkSigns(mappingOf(signs), ["upstreams", name, "signs"]));
  }
  listOf(raw["routes"]).forEach((route, index) => check(mappingOf(route)["dialect"], ["routes", index, "dialect"]));
  return findings;
}

function checkModules(own: Raw, { readFile }: Surroundings): Finding[] {
  const findings: Finding[] = [];
  for (const [name, module] of Object.entries(own)) {
    const path: Path = ["dialects", name];
    if (DIALECT_NAMES.some((known) => known === name))
      findings.push({ path, message: `${name} comes with the program; choose another name`, at: "key" });
    if (typeof module !== "string") continue;
    const reading = readFile(module);
    if ("wrong" in reading) findings.push({ path, message: `${show(module)} ${reading.wrong}` });
  }
  return findings;
}

function checkSigns(signs: Raw, path: Path): Finding[] {
  const paths = mappingOf(signs["paths"]);
  return listOf(signs["enabled"]).flatMap((given, index) => {
    const sign = SIGNS.find((known) => known === given);
    const missing = sign === undefined ? [] : NEEDS[sign].filter((key) => !Object.hasOwn(paths, key));
    if (missing.length === 0) return [];
    const message = `needs to know where to look; set the upstream's dialect, or paths: { ${missing.map((key) => `${key}: ...`).join(", ")} }`;
    return [{ path: [...path, "enabled", index], message: `${String(given)} ${message}` }];
  });
}

/** Routes whose clients speak something, and upstreams of which nobody says what they speak. */
export function warnAboutDialects({ routes, raw }: Draft): Finding[] {
  return routes.flatMap(({ index, raw: route }) => {
    const { dialect, stable, candidate, upstream, stable_for } = route;
    if (typeof dialect !== "string") return [];
    const targets = [stable, candidate, upstream, ...listOf(stable_for)];
    const names = targets.map((target) => (typeof target === "string" ? target : mappingOf(target)["upstream"]));
    const silent = [...new Set(names)].filter((name) => {
      return typeof name === "string" && mappingOf(mappingOf(raw["upstreams"])[name])["dialect"] === undefined;
    });
    if (silent.length === 0) return [];
    const message = `is ${dialect}, and nothing says what ${silent.join(" and ")} speak${silent.length === 1 ? "s" : ""}: its bodies pass as they are; set upstreams.${silent.join(".dialect and upstreams.")}.dialect`;
    return [{ path: ["routes", index, "dialect"], message }];
  });
}
