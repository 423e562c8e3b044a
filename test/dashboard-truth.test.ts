import type { Browser, Page } from "playwright-core";
import t from "tap";
import type { FiguresView, RolloutStatus } from "../src/controller/desk.ts";
import type { FlagView } from "../src/admin/flag-view.ts";
import type { Readiness, Status } from "../src/admin/operations.ts";
import type { NoticesView } from "../src/notify/notice.ts";
import type { SlaView } from "../src/sla/sla.ts";
import { flagKeys } from "../src/store/keys.ts";
import { ask, until } from "./support/backend.ts";
import { NO_BROWSER, startBrowser } from "./support/browser.ts";
import { agree, FLAG, type RealPage, someone, startRealPage } from "./support/real-page.ts";

/** Every number on the page is what the API and the figures for Prometheus say at that moment: real programs, real Redis, real requests. */

t.setTimeout(600_000);

const PATIENCE_MS = 120_000;
const SEGMENTS = ["beta_users", "enterprise", "api_partners", "none"] as const;

let browser: Browser;
t.before(async () => {
  if (NO_BROWSER === false) browser = await startBrowser(t);
});

/** What stands at these places at one moment, blanks of every kind as one; "" where there is nothing. */
async function told<Name extends string>(page: Page, places: Readonly<Record<Name, string>>): Promise<Record<Name, string>> {
  const read = `(selector) => [...document.querySelectorAll(selector)].map((each) => each.innerText.replace(/\\s+/g, " ").trim()).join(" | ")`;
  return page.evaluate(
    `Object.fromEntries(Object.entries(${JSON.stringify(places)}).map(([name, selector]) => [name, (${read})(selector)]))`,
  );
}

async function becomes(page: Page, selector: string, isSo: (text: string) => boolean): Promise<void> {
  await until(`${selector} changes`, async () => isSo((await told(page, { selector })).selector), PATIENCE_MS);
}

function written(value: number | null | undefined, digits = 0): string {
  return typeof value === "number" && Number.isFinite(value)
    ? new Intl.NumberFormat("en-GB", { maximumFractionDigits: digits }).format(value)
    : "–";
}

function share(value: number | null | undefined, digits = 1): string {
  return typeof value === "number" && Number.isFinite(value) ? `${written(value * 100, digits)} %` : "–";
}

const legend = (chart: string, line: string): string => `[data-chart=${chart}] [data-legend="${line}"] .legend-value`;
const figure = (name: string): string => `[data-figure=${name}] .figure-value`;

interface Sums {
  readonly stable: number;
  readonly candidate: number;
}

/** Requests by the arm that the split assigned. */
function sumsOf({ rows }: FiguresView, segment?: string): Sums {
  const own = rows.filter((row) => segment === undefined || row.segment === segment);
  const sum = (arm: "stable" | "candidate"): number => own.reduce((total, row) => total + row[arm].requests, 0);
  return { stable: sum("stable"), candidate: sum("candidate") };
}

/** The same of all programs since they began, as Prometheus is told. */
async function countedOf(world: RealPage, segment: string): Promise<Sums> {
  const sum = async (assigned: string): Promise<number> => {
    const each = await Promise.all(
      world.programs.map((_, index) => world.metric("crossfade_requests_total", { route: "match", assigned, segment }, index)),
    );
    return each.reduce((total, value) => total + (Number.isNaN(value) ? 0 : value), 0);
  };
  return { stable: await sum("stable"), candidate: await sum("candidate") };
}

const figuresOf = (world: RealPage): Promise<FiguresView> => world.api(`/api/rollout/${FLAG}/figures?span=10s`);

t.test("the page, the API and Prometheus say the same", { skip: NO_BROWSER }, async (t) => {
  const world = await startRealPage(t, 50);
  const { page, faults } = await world.look(browser);
  // Charts out of sight are not drawn.
  await page.setViewportSize({ width: 1_440, height: 5_000 });

  await t.test("who came in the last ten seconds, by arm and segment", async (t) => {
    const people = someone(() => true, 200);
    await world.send(people);
    await until(
      "all of them are on the page",
      async () => (await told(page, { all: "[data-row=all] td:last-child" })).all === "200",
      PATIENCE_MS,
    );
    const figures = await figuresOf(world);
    t.equal(sumsOf(figures).stable + sumsOf(figures).candidate, people.length, "the API has them all");
    const counted = new Map<string, Sums>();
    for (const segment of SEGMENTS) {
      counted.set(segment, await countedOf(world, segment));
      t.same(sumsOf(figures, segment), counted.get(segment), `${segment}: the API and Prometheus`);
    }
    const rows = await told(page, {
      all: "[data-table=segments] [data-row=all]",
      beta_users: "[data-table=segments] [data-row=beta_users]",
      enterprise: "[data-table=segments] [data-row=enterprise]",
      api_partners: "[data-table=segments] [data-row=api_partners]",
      none: "[data-table=segments] [data-row=none]",
      actual: figure("actual"),
      rate: figure("rate"),
    });
    for (const segment of SEGMENTS) {
      const { stable, candidate } = counted.get(segment) ?? { stable: Number.NaN, candidate: Number.NaN };
      t.ok(
        rows[segment].endsWith(` ${share(candidate / (stable + candidate))} ${written(stable + candidate)}`),
        `${segment}: ${rows[segment]}`,
      );
    }
    const { stable, candidate } = sumsOf(figures);
    t.equal(rows.actual, share(candidate / (stable + candidate)));
    t.ok(candidate > 0 && stable > 0, "both arms were asked");
    t.equal(rows.rate, "20");
  });

  await t.test("durations, quality and errors of both arms", async (t) => {
    // Of one segment, so that the API has both arms in one line.
    await until(
      "those of before are gone",
      async () => (await figuresOf(world)).rows.every(({ stable, candidate }) => stable.requests + candidate.requests === 0),
      PATIENCE_MS,
    );
    const people = someone(({ segment }) => segment === undefined, 150);
    await world.send(people);
    await until(
      "all of them are on the page",
      async () => (await told(page, { all: "[data-row=all] td:last-child" })).all === "150",
      PATIENCE_MS,
    );
    const row = (await figuresOf(world)).rows.find(({ segment, stable }) => segment === "none" && stable.requests > 0);
    if (row === undefined) throw new Error("the API has no line for those in no segment");
    for (const arm of ["stable", "candidate"] as const) {
      const said = await told(page, {
        p50: legend("latency", `${arm}.p50`),
        p95: legend("latency", `${arm}.p95`),
        p99: legend("latency", `${arm}.p99`),
        errors: legend("errors", `${arm}.errors`),
        quality: legend("quality", `${arm}.quality`),
        fallbacks: legend("fallbacks", `${arm}.fallbacks`),
      });
      // The API rounds to a tenth, and the page to what people read.
      for (const name of ["p50", "p95", "p99"] as const) {
        const [, number = "", unit] = /^([\d.,]+) (ms|s)$/.exec(said[name]) ?? [];
        const ms = Number(number.replaceAll(",", "")) * (unit === "s" ? 1_000 : 1);
        t.ok(Math.abs(ms - row[arm][name]) <= Math.max(0.6, row[arm][name] / 150), `${arm} ${name}: ${said[name]} and ${row[arm][name]}`);
      }
      t.equal(said.errors, share(row[arm].errors, 2));
      t.equal(said.fallbacks, share(row[arm].fallbacks, 2));
      t.equal(said.quality, typeof row[arm].quality === "number" ? row[arm].quality.toFixed(3) : "–");
    }
  });

  await t.test("an edit by redis-cli", async (t) => {
    await world.redis.cli("HSET", flagKeys("crossfade:", FLAG, []).flags, "rollout_percentage", "30");
    await becomes(page, figure("inforce"), (text) => text.startsWith("30"));
    t.equal((await told(page, { inforce: figure("inforce") })).inforce, "30 %");
    for (const index of world.programs.keys())
      await until(
        "both programs have it",
        async () => (await world.metric("crossfade_flag_percentage", { segment: "" }, index)) === 30,
        PATIENCE_MS,
      );
    await agree(
      "revisions of the instances, and the audit",
      async () => {
        const { revisions, audit } = await told(page, {
          revisions: "[data-table=instances] td:nth-child(3)",
          audit: "[data-table=audit] tbody tr:first-child .changes",
        });
        return { revisions, audit };
      },
      async () => {
        const flag = await world.api<FlagView>(`/api/flags/${FLAG}`);
        const revisions = (flag.instances ?? []).map(({ revision }) => String(revision)).join(" | ");
        return { revisions, audit: `rollout_percentage: unset → ${flag.fields["rollout_percentage"]}` };
      },
    );
    t.equal(await world.metric("crossfade_config_revision"), 1);
  });

  await t.test("a candidate that fails", async (t) => {
    world.v2.set({ fault: "unsuccessful" });
    const people = someone(({ segment }) => segment === undefined, 300);
    await until(
      "the breaker opens",
      async () => {
        await world.send(people);
        return (await world.metric("crossfade_breaker_state", { route: "match" })) === 3;
      },
      PATIENCE_MS,
    );
    await becomes(page, figure("breaker"), (text) => text.includes("Open"));
    // Always in sight, and red; figures come with the second that they are of.
    await page.waitForSelector("[data-figure=errors].tone-bad");
    await agree(
      "reasons of fallbacks, the breaker and the budget",
      async () => {
        const { reasons, breaker, worst } = await told(page, {
          reasons: "[data-table=reasons] td.number",
          breaker: "[data-table=breakers] .badge",
          worst: figure("breaker"),
        });
        return { reasons, breaker: breaker.replace(/^\W*/, "").split(":")[0], worst: worst.replace(/^\W*/, "") };
      },
      async () => {
        const state = { 0: "Closed", 1: "Returning", 2: "Half open", 3: "Open" }[
          await world.metric("crossfade_breaker_state", { route: "match" })
        ];
        const reasons = await Promise.all(
          ["latency", "error", "quality", "breaker", "hedge", "dialect"].map((reason) =>
            world.metric("crossfade_fallbacks_total", { route: "match", reason }),
          ),
        );
        return { reasons: reasons.map((count) => written(count)).join(" | "), breaker: state, worst: state };
      },
    );
    t.ok((await world.metric("crossfade_fallbacks_total", { route: "match" })) > 0);
    world.v2.set({ fault: "none" });
  });

  await t.test("the state of the program, promises and notices", async () => {
    await agree(
      "store, readiness, endpoints, workers, promises, notices",
      async () => {
        await page
          .locator("[data-sla-rest]:not([open]) > summary")
          .click({ timeout: 1_000 })
          .catch(() => {});
        const { store, ready, endpoints, restarts, notices, values } = await told(page, {
          store: figure("store"),
          ready: figure("ready"),
          endpoints: "[data-table=upstreams] .badge",
          restarts: "[data-table=workers] td:nth-child(3)",
          notices: "[data-table=notices] tbody tr th",
          values: "[data-table=sla] .figure-now, [data-table=sla-rest] .figure-now",
        });
        return {
          store: store.replace(/^\W*/, ""),
          ready: ready.replace(/^\W*/, ""),
          endpoints: endpoints.split(" | ").filter((word) => word.includes("unhealthy")).length,
          restarts,
          notices: notices === "" ? 0 : notices.split(" | ").length,
          values: values.split(" | ").toSorted(),
        };
      },
      async () => {
        const status = await world.api<Status>("/api/status");
        const readiness = await world.api<Readiness>("/readyz");
        const notices = await world.api<NoticesView>(`/api/notices?flag=${FLAG}`);
        const sla = await world.api<SlaView>(`/api/sla?flag=${FLAG}`);
        const up = await world.metric("crossfade_upstream_up");
        const values = await Promise.all(
          sla.rows.map(async ({ promise, version, segment, value }) => {
            const told = await world.metric("crossfade_sla_ratio", { promise, version, segment });
            // Neither may say something else; without a request both are silent.
            const isSame = Object.is(written(told, 6), written(value, 6));
            return isSame ? share(value, 3) : `${promise} ${version} ${segment}: ${told}, not ${value}`;
          }),
        );
        return {
          store: (await world.metric("crossfade_store_up")) === 1 && status.store.up ? "Up" : "Down",
          ready: !readiness.ready ? "Not ready" : readiness.degraded.length === 0 ? "Ready" : "Degraded",
          endpoints: status.upstreams.length - up,
          restarts: status.workers.map(({ restarts }) => written(restarts)).join(" | "),
          notices: notices.notices.filter(({ resolvedAt }) => typeof resolvedAt !== "number").length,
          values: values.toSorted(),
        };
      },
    );
  });

  await t.test("a rollout, its gates and triggers, and the way back", async (t) => {
    const plan = `name: truth
flag: ${FLAG}
steps: [ { name: half, percentage: 50, dwell: 1h } ]
gates: [ { metric: errors, at_most: 5%, min_sample: 1000000 }, { metric: requests, at_least: 1000000 } ]
triggers: [ { metric: errors, at_most: 90%, window: 1h, min_sample: 1000000, required: false } ]
`;
    const post = async (act: string, body: object): Promise<void> => {
      const { adminPort = 0 } = world.programs[0] ?? {};
      const { status, body: said } = await ask(adminPort, {
        path: `/api/rollout/${FLAG}/${act}`,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ reason: "truth", wait: "30s", ...body }),
      });
      if (status >= 300) throw new Error(`${act}: ${status} ${said}`);
    };
    await post("start", { plan, force: true });
    await world.send(someone(({ segment }) => segment === undefined, 100));
    await page.waitForSelector('[data-step="half"][data-place="present"]');
    await agree(
      "gates and triggers",
      () =>
        told(page, {
          verdicts: "[data-table=gates] [data-verdict], [data-table=triggers] [data-verdict]",
          samples: "[data-table=gates] td:nth-child(6), [data-table=triggers] td:nth-child(6)",
          inforce: figure("inforce"),
        }),
      async () => {
        const { view } = await world.api<RolloutStatus>(`/api/rollout/${FLAG}`);
        const judged = [...(view?.gates ?? []), ...(view?.triggers ?? [])];
        const verdict = { pass: "pass", fail: "fail", inconclusive: "inconclusive", "no-data": "no data" };
        const samples = judged.map(({ check, verdict: { sample } }) =>
          check.minSample > 1 ? `${written(sample)} of ${written(check.minSample)}` : written(sample),
        );
        return {
          verdicts: judged.length === 0 ? "not judged yet" : judged.map((each) => verdict[each.verdict.verdict]).join(" | "),
          samples: samples.join(" | "),
          inforce: `${written(await world.metric("crossfade_flag_percentage", { segment: "" }))} %`,
        };
      },
    );
    await agree(
      "the state of the rollout",
      async () => ({ metric: 1, status: await page.locator("#state [data-status]").getAttribute("data-status") }),
      async () => {
        const { rollout } = await world.api<RolloutStatus>(`/api/rollout/${FLAG}`);
        const status = rollout?.state.status ?? "none";
        return { metric: await world.metric("crossfade_rollout_status", { status }), status };
      },
    );

    await post("rollback", {});
    await page.waitForSelector('#state [data-status="rolled-back"]');
    await until(
      "Prometheus is told",
      async () => (await world.metric("crossfade_rollout_status", { status: "rolled-back" })) === 1,
      PATIENCE_MS,
    );
    t.equal((await told(page, { inforce: figure("inforce") })).inforce, "0 %");
    t.equal(await world.metric("crossfade_flag_percentage", { segment: "" }), 0);
    t.match(
      (await told(page, { gates: "#gates", triggers: "#triggers" })).triggers,
      /No step is in force/,
      "nothing is judged, and the plan is not said to have nothing",
    );
  });
  t.same(faults, []);
});
