import { KeyedHash } from "../src/core/keyed-hash.ts";
import { signId } from "../src/http/cookies.ts";
import { crossfade, STICKY_SECRET, type CrossfadeSetup } from "./contenders/crossfade.ts";
import { decimals, differences, errorsOf, middle, spread, table } from "./figures.ts";
import type { Job } from "./load/job.ts";
import { runCommand } from "./options.ts";
import { asJson, measureGroups, type Case, type Results } from "./rounds.ts";

const key = new KeyedHash(Buffer.from(STICKY_SECRET));

/** All requests carry what any of the features looks for, so that they differ in what is done with it alone. */
function fields(user: string): readonly string[] {
  const segment = ["beta", "partner", "enterprise", "none"][user.charCodeAt(user.length - 1) % 4] ?? "";
  return [`Cookie: theme=dark; crossfade_id=${signId(user, key)}`, `X-User-Segment: ${segment}`];
}

const JOBS = {
  "1 kB": { requestBytes: 1_000, answerBytes: 1_000, fields },
  "20 kB": { requestBytes: 1_000, answerBytes: 20_000, fields },
} as const satisfies Readonly<Record<string, Job>>;

interface Feature {
  readonly name: string;
  /** What it is compared with: the same without the feature. */
  readonly base: string;
  readonly setup: Partial<CrossfadeSetup>;
  readonly answer?: keyof typeof JOBS;
}

const PLAIN: Partial<CrossfadeSetup> = { weight: "forward", fallback: false, responseHeaders: "none", log: 0 };
const SPLIT: Partial<CrossfadeSetup> = { fallback: false, responseHeaders: "none", log: 0 };
const ARMED: Partial<CrossfadeSetup> = { responseHeaders: "none", log: 0 };
const ALL_ARMED: Partial<CrossfadeSetup> = { ...ARMED, weight: 100 };

const FEATURES: readonly Feature[] = [
  { name: "plain", base: "plain", setup: PLAIN },
  { name: "headers", base: "plain", setup: { ...PLAIN, responseHeaders: "all" } },
  { name: "log-1", base: "plain", setup: { ...PLAIN, log: 1 } },
  { name: "log-10", base: "plain", setup: { ...PLAIN, log: 10 } },
  { name: "log-100", base: "plain", setup: { ...PLAIN, log: 100 } },
  { name: "split", base: "plain", setup: SPLIT },
  { name: "split-cookie", base: "split", setup: { ...SPLIT, cookie: true } },
  { name: "split-segments", base: "split", setup: { ...SPLIT, segments: true } },
  { name: "split-headers", base: "split", setup: { ...SPLIT, responseHeaders: "all" } },
  { name: "fallback", base: "split", setup: ARMED },
  { name: "candidate", base: "fallback", setup: ALL_ARMED },
  { name: "quality", base: "candidate", setup: { ...ALL_ARMED, quality: true } },
  { name: "candidate-20", base: "candidate", setup: ALL_ARMED, answer: "20 kB" },
  { name: "quality-20", base: "candidate-20", setup: { ...ALL_ARMED, quality: true }, answer: "20 kB" },
  { name: "usual", base: "fallback", setup: {} },
];
const names = FEATURES.map((feature) => feature.name);

const about = `What each feature of crossfade costs, in microseconds of CPU a request. 1 worker, POSTs of 1 kB answered with 1 kB of JSON.

  plain           a route that forwards: no flag, no added response headers, no log
  headers         plain and the response headers that say which arm answered and why
  log-1 -10 -100  plain and an access log of 1, 10 and 100 % of the requests
  split           a flag: 30 % of the users to the candidate, by a header
  split-cookie    split by the signed cookie
  split-segments  split with three segments, named by a header of a trusted hop
  split-headers   split and the response headers
  fallback        split and the fallback armed: requests are kept to be sent again, answers held until they are judged
  candidate       fallback with all users on the candidate
  quality         candidate and the quality read from each answer's JSON
  candidate-20    candidate with answers of 20 kB
  quality-20      quality with answers of 20 kB
  usual           fallback with response headers and a log of 1 %: the contender crossfade of the other benchmarks
`;

/** The features named and whatever they are compared with. */
function withBases(only: readonly string[]): readonly Feature[] {
  const wanted = new Set(["plain"]);
  for (const feature of FEATURES.toReversed()) {
    if (!only.includes(feature.name) && !wanted.has(feature.name)) continue;
    wanted.add(feature.name).add(feature.base);
  }
  return FEATURES.filter((feature) => wanted.has(feature.name));
}

function report(chosen: readonly Feature[], results: Results): string {
  const rows = [["CPU µs/req, median of the rounds", "", "more than plain", "more than", "", "per kB", "req/s", "errors"]];
  const plain = results.get("plain") ?? [];
  for (const { name, base, answer = "1 kB" } of chosen) {
    const rounds = results.get(name);
    const without = results.get(base);
    if (rounds === undefined || without === undefined) continue;
    const cost = differences(rounds, without, "cpuUs");
    rows.push([
      name,
      decimals(middle(rounds, "cpuUs"), 1),
      name === "plain" ? "-" : spread(differences(rounds, plain, "cpuUs"), 1),
      name === base ? "" : base,
      name === base ? "-" : spread(cost, 1),
      name.startsWith("quality") ? decimals((cost.median * 1000) / JOBS[answer].answerBytes, 2) : "",
      decimals(middle(rounds, "perSecond"), 0),
      errorsOf(rounds),
    ]);
  }
  return `${table(rows)}\n(differences round by round: the median, with the least and the most)\n`;
}

await runCommand({
  name: "features",
  about,
  example: "--only fallback,quality --rounds 9",
  choices: names,
  defaults: { transport: "wire", connections: [64], rounds: 5, seconds: 2, warm: 5, json: false },
  async run({ only, connections, rounds, seconds, warm, transport, json }) {
    const chosen = withBases(only);
    const contenders = chosen.map((feature) => ({ feature, contender: crossfade(feature.name, "", { ...feature.setup, transport }) }));
    const groups = connections.map((count) => {
      const cases = contenders.map(({ feature: { name, answer = "1 kB" }, contender }): Case => {
        return { name, contender, connections: count, rate: 0, job: JOBS[answer] };
      });
      return [`${count} connections`, cases] as const;
    });
    const measured = await measureGroups(new Map(groups), { rounds, seconds, warm });
    if (json) process.stdout.write(asJson(measured));
    else for (const [group, results] of measured) process.stdout.write(`${group}\n\n${report(chosen, results)}\n`);
  },
});
