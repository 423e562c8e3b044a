import { crossfade } from "./contenders/crossfade.ts";
import { nginx } from "./contenders/nginx.ts";
import { decimals, errorsOf, middle, ratios, spread, table } from "./figures.ts";
import type { Job } from "./load/job.ts";
import { runCommand } from "./options.ts";
import { measure, SETTLE_MS, type Case, type Results } from "./rounds.ts";

const CONTENDERS = [
  nginx("nginx", "with its usual buffering (see below)"),
  nginx("nginx-stream", "proxy_request_buffering off, proxy_buffering off: nothing is held", { buffering: false }),
  crossfade("crossfade", "engine wire, everything on: bodies up to 1 MiB and answers up to 4 MiB are held in memory"),
  crossfade("crossfade-node", "the same on engine node", { transport: "node" }),
];
const names = CONTENDERS.map((contender) => contender.name);
const REFERENCE = "nginx";

/** Bytes of JSON, by the name that they have in tables. */
const SIZES: Readonly<Record<string, number>> = { "0": 0, "1 kB": 1_000, "20 kB": 20_000, "1 MB": 1_000_000 };
const EXCHANGES: readonly (readonly [request: string, answer: string])[] = [
  ["0", "1 kB"],
  ["1 kB", "1 kB"],
  ["20 kB", "1 kB"],
  ["1 MB", "1 kB"],
  ["0", "20 kB"],
  ["0", "1 MB"],
];

const about = `What a request costs, against the size of its body and of its answer.

Bodies of 0 (a GET), 1 kB, 20 kB and 1 MB answered with 1 kB; answers of 1 kB, 20 kB and 1 MB to a GET.

${CONTENDERS.map(({ name, what }) => `  ${name.padEnd(18)}  ${what}\n`).join("")}
nginx's usual buffering: a request's body above 16 kB goes to a temporary file before it is sent on (client_body_buffer_size);
an answer is read as fast as it comes into at most 64 kB of memory, and a temporary file beyond (proxy_buffering on).
`;

/** What any proxy moves at the least: by then every connection has had a first answer. */
const BYTES_PER_MS = 400_000;

interface Line {
  readonly request: string;
  readonly answer: string;
  readonly connections: number;
  readonly cases: readonly Case[];
}

function linesOf(only: readonly string[], connections: readonly number[]): readonly Line[] {
  const chosen = CONTENDERS.filter((contender) => only.includes(contender.name));
  const exchanges = EXCHANGES.map(([request, answer]) => {
    const job: Job = { requestBytes: SIZES[request] ?? 0, answerBytes: SIZES[answer] ?? 0 };
    return { request, answer, job };
  });
  return connections.flatMap((count) =>
    exchanges.map(({ request, answer, job }) => ({
      request,
      answer,
      connections: count,
      cases: chosen.map((contender) => ({
        name: `${contender.name} ${request}/${answer} ${count}`,
        contender,
        connections: count,
        rate: 0,
        job,
        settleMs: SETTLE_MS + (count * (job.requestBytes + job.answerBytes)) / BYTES_PER_MS,
      })),
    })),
  );
}

function report(lines: readonly Line[], results: Results): string {
  const rows = [
    [
      "median of the rounds",
      "body",
      "answer",
      "connections",
      "CPU µs/req",
      `ratio to ${REFERENCE}`,
      "req/s",
      "p99 ms",
      "memory MB",
      "errors",
    ],
  ];
  for (const { request, answer, connections, cases } of lines) {
    const reference = cases.find(({ contender }) => contender.name === REFERENCE);
    const base = reference && results.get(reference.name);
    for (const { name, contender } of cases) {
      const rounds = results.get(name);
      if (rounds === undefined) continue;
      rows.push([
        contender.name,
        request,
        answer,
        String(connections),
        decimals(middle(rounds, "cpuUs"), 1),
        base === undefined || base === rounds ? "-" : spread(ratios(rounds, base, "cpuUs")),
        decimals(middle(rounds, "perSecond"), 0),
        decimals(middle(rounds, "p99Ms"), 1),
        decimals(middle(rounds, "memoryMb"), 0),
        errorsOf(rounds),
      ]);
    }
  }
  return `${table(rows)}\n(median of the ratios round by round, with the least and the most)\n`;
}

await runCommand({
  name: "bodies",
  about,
  example: "--only nginx,crossfade --connections 64",
  choices: names,
  defaults: { connections: [64, 1_000], rounds: 5, seconds: 2, warm: 5, json: false },
  async run({ only, connections, rounds, seconds, warm, json }) {
    const lines = linesOf(only, connections);
    const results = await measure({ cases: lines.flatMap((line) => line.cases), rounds, seconds, warm });
    process.stdout.write(json ? `${JSON.stringify(Object.fromEntries(results), undefined, 2)}\n` : report(lines, results));
  },
});
