import t from "tap";
import type { LiveView } from "../src/admin/live/view.ts";
import { until } from "./support/backend.ts";
import { NO_BROWSER } from "./support/browser.ts";
import { becomes, connectionIs, figure, open, PATIENCE_MS, stage, textOf } from "./support/dashboard.ts";
import { FLAG, livePoint, liveView, NOW } from "./support/live-world.ts";

/** What people see in a real browser of what the live feed tells. */

t.setTimeout(300_000);
const staged = stage();

t.test("the numbers on the page are those of the view", { skip: NO_BROWSER }, async (t) => {
  const { page, fake, faults } = await open(t, await staged());
  const at = NOW + 1_000;
  const before = liveView(at, NOW);
  const arm = { requests: 0, fallbacks: 0, attempts: 0, errors: 0, p50: 0, p95: 0, p99: 0, quality: 0 };
  const row = (segment: string, stable: number, candidate: number) => ({
    route: "match",
    segment,
    stable: { ...arm, requests: stable },
    candidate: { ...arm, requests: candidate },
  });
  const rows = [row("none", 3_000, 1_000), row("enterprise", 400, 0), row("beta_users", 0, 120)];
  const point = livePoint(at, 37.5);
  const flags = before.status.flags.map((each) => ({ ...each, percentage: 37.5 }));
  const view: LiveView = {
    ...before,
    status: { ...before.status, flags },
    figures: { span: "10s", from: at - 10_000, to: at, coveredMs: 10_000, instances: ["edge-1"], rows },
    fallbacks: { latency: 1_234, error: 2 },
  };
  await page.waitForSelector(figure("inforce"));
  fake.show(view, {
    ...point,
    stable: { ...point.stable, p50: 61.4, p95: 118, p99: 1_250, errors: 0.0123, quality: 0.8614 },
    candidate: { ...point.candidate, p50: 8.25, p95: 76, p99: 93, errors: 0.0007, quality: 0.9157 },
  });
  await becomes(page, figure("inforce"), "37.5 %");
  t.equal(await textOf(page, figure("actual")), "24.8 %", "1,120 of 4,520");
  t.equal(await textOf(page, "[data-figure=actual] .figure-note"), "1,120 of 4,520 requests");
  t.equal(await textOf(page, figure("rate")), "452");
  t.match(await textOf(page, "[data-row=enterprise]"), /^enterprise 0 % 0 % 400$/);
  t.match(await textOf(page, "[data-row=beta_users]"), /^beta_users 100 % 100 % 120$/);
  t.match(await textOf(page, "[data-row=api_partners]"), /^api_partners 50 % cap – 0$/, "no requests: no share");
  t.match(await textOf(page, "[data-table=reasons] [data-row=latency]"), /^Too slow 1,234$/);
  t.match(await textOf(page, "[data-table=reasons] [data-row=hedge]"), /^Hedge won 0$/);

  await page.click("#latency summary");
  t.match(await textOf(page, "[data-table=latency]"), /P50 61 ms 8\.3 ms P95 118 ms 76 ms P99 1\.25 s 93 ms/);
  await page.locator("#errors summary").click();
  t.match(await textOf(page, "[data-table=errors]"), /Errors 1\.23 % 0\.07 %/);
  await page.locator("#quality summary").click();
  t.match(await textOf(page, "[data-table=quality]"), /Quality 0\.861 0\.916/);
  t.same(faults, []);
});

t.test("what is not known is a dash and never 0", { skip: NO_BROWSER }, async (t) => {
  const { page, fake, faults } = await open(t, await staged());
  await page.waitForSelector(figure("inforce"));
  const at = NOW + 1_000;
  const view = liveView(at, NOW);
  const nothing = {
    rate: Number.NaN,
    p50: Number.NaN,
    p95: Number.NaN,
    p99: Number.NaN,
    errors: Number.NaN,
    quality: Number.NaN,
    fallbacks: Number.NaN,
  };
  fake.show(
    {
      ...view,
      status: { ...view.status, store: { kind: "redis", up: false, message: "the store is down", origin: "disk" } },
      readiness: { ready: true, degraded: ["the store is down"], reasons: [] },
      flag: { ...view.flag, instances: null },
      rollout: undefined,
      figures: undefined,
      latencies: undefined,
      audit: undefined,
    },
    { at, percentage: 25, stable: nothing, candidate: nothing, segments: {} },
  );
  await becomes(page, figure("actual"), "–");
  t.equal(await textOf(page, figure("rate")), "–");
  t.match(await textOf(page, figure("store")), /Down/);
  t.match(await textOf(page, figure("instances")), /Not known/);
  t.match(await textOf(page, figure("rollout")), /Not known/);
  t.match(await textOf(page, ".notes"), /the store is down/);
  await page.click("#latency summary");
  t.match(await textOf(page, "[data-table=latency]"), /P50 – – P95 – – P99 – –/);
  t.same(faults, []);
});

t.test("the picture of the split is as large as the share", { skip: NO_BROWSER }, async (t) => {
  const { page } = await open(t, await staged());
  await page.waitForSelector("[data-chart=split] canvas");
  await page.selectOption("select[name=range]", "5");
  // The candidate's area is the one in which red is strongest.
  const share = "[data-chart=split] canvas";
  const count = `(() => {
    const canvas = document.querySelector(${JSON.stringify(share)});
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let candidate = 0, stable = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] < 255) continue;
      if (data[at] - data[at + 2] > 40) candidate++;
      else if (data[at + 2] - data[at] > 20) stable++;
    }
    return candidate / (candidate + stable);
  })()`;
  await until(
    "the area of the candidate is about a quarter",
    async () => Math.abs((await page.evaluate<number>(count)) - 0.25) < 0.03,
    PATIENCE_MS,
  );
});

t.test("a lost connection is said, old figures are marked, and it comes back by itself", { skip: NO_BROWSER }, async (t) => {
  const { page, fake, faults } = await open(t, await staged(), { expected: /ERR_|Failed to load/ });
  await page.waitForSelector(connectionIs("live"));
  t.notOk(await page.locator(".stale").count());
  await fake.stop();
  await page.waitForSelector(connectionIs("reconnecting"));
  await page.waitForSelector("main.stale");
  t.equal(await page.locator("header.stale").count(), 1);
  t.match(await textOf(page, connectionIs("reconnecting")), /old figures since \d\d:\d\d:\d\d/);
  t.equal(await textOf(page, figure("inforce")), "25 %", "they stay to be seen");
  const view = liveView(NOW + 60_000, NOW);
  fake.show({ ...view, status: { ...view.status, flags: view.status.flags.map((each) => ({ ...each, percentage: 10 })) } });
  await fake.begin();
  await page.waitForSelector(connectionIs("live"));
  await becomes(page, figure("inforce"), "10 %");
  t.notOk(await page.locator("main.stale").count());
  t.same(faults, []);
});

t.test("a token is asked for, sent with every question, and forgotten on signing out", { skip: NO_BROWSER }, async (t) => {
  const { page, fake, faults } = await open(t, await staged(), { token: "secret", expected: /401/ });
  await page.fill("input[name=token]", "wrong");
  await page.click("[data-button=sign-in]");
  await until("the wrong one was tried", () => fake.asked.some(({ headers }) => headers.authorization === "Bearer wrong"));
  await page.fill("input[name=token]", "secret");
  await page.click("[data-button=sign-in]");
  await page.waitForSelector(figure("inforce"));
  t.notOk(
    fake.asked.some(({ path }) => path.includes("secret")),
    "in no address",
  );
  await page.reload();
  await page.waitForSelector(figure("inforce"));
  await page.click(".preferences summary");
  await page.click("[data-button=sign-out]");
  await page.waitForSelector("input[name=token]");
  t.notOk(await page.locator(figure("inforce")).count(), "what was there is gone");
  t.same(faults, []);
});

t.test("a page that the API will not have says so in the API's words", { skip: NO_BROWSER }, async (t) => {
  const detail = 'The Host header is "evil.example"; without a token only localhost is answered.';
  const refusal = { status: 403, code: "foreign-host", title: "The request was meant for another host", detail };
  const { page } = await open(t, await staged(), { refusal, expected: /403/ });
  await page.waitForSelector("[data-refused=foreign-host]");
  t.match(await textOf(page, "main"), /evil\.example/);
});

t.test("language and appearance are kept", { skip: NO_BROWSER }, async (t) => {
  const { page } = await open(t, await staged(), { options: { colorScheme: "light" } });
  await page.waitForSelector(figure("inforce"));
  await page.click(".preferences summary");
  await page.selectOption("select[name=language]", "fr");
  await page.selectOption("select[name=theme]", "dark");
  await page.reload();
  await page.waitForSelector("html[lang=fr][data-theme=dark]");
  await page.waitForSelector(figure("inforce"));
  t.match(await textOf(page, "[data-figure=actual]"), /Part réelle/);
  t.match(await textOf(page, figure("actual")), /^\d+,\d %$/, "numbers as they are written there");
});

t.test("one flag is no choice, several are", { skip: NO_BROWSER }, async (t) => {
  const view = liveView(NOW, NOW);
  const { page, fake } = await open(t, await staged());
  await page.waitForSelector(figure("inforce"));
  t.equal(await page.locator("select[name=flag]").count(), 0);
  const other = view.status.flags.map((each) => ({ ...each, flag: "other_move", percentage: 5 }));
  fake.show({ ...view, status: { ...view.status, flags: [...view.status.flags, ...other] } });
  await page.selectOption("select[name=flag]", "other_move");
  await until("the other one is followed", () => fake.asked.some(({ path }) => path === "/api/live?flag=other_move"));
  t.ok(fake.asked.some(({ path }) => path === `/api/live?flag=${FLAG}`));
});

t.test("a tab that nobody sees is left alone, and is up to date as soon as somebody does", { skip: NO_BROWSER }, async (t) => {
  const { page, fake } = await open(t, await staged());
  await page.waitForSelector(figure("inforce"));
  // Browsers without a screen never hide a tab by themselves.
  const hide = (hidden: boolean): Promise<unknown> =>
    page.evaluate(
      `Object.defineProperty(document, "hidden", { configurable: true, value: ${hidden} }); document.dispatchEvent(new Event("visibilitychange"))`,
    );
  const show = (latency: number): void => fake.show({ ...liveView(NOW, NOW), fallbacks: { latency } });
  const shown = "[data-table=reasons] [data-row=latency] td.number";
  show(71);
  await becomes(page, shown, "71");
  await hide(true);
  const seen = page.evaluate<number>(
    `new Promise((resolve) => {
      const changed = new MutationObserver(() => resolve(1));
      changed.observe(document.querySelector("main"), { subtree: true, childList: true, characterData: true });
      setTimeout(() => resolve(0), 1_000);
    })`,
  );
  for (let latency = 72; latency <= 90; latency++) show(latency);
  t.equal(await seen, 0, "nothing moves");
  await hide(false);
  await becomes(page, shown, "90");
});

t.test("thousands of views leave the page as large as it was", { skip: NO_BROWSER }, async (t) => {
  const { page, fake, faults } = await open(t, await staged());
  await page.waitForSelector(figure("inforce"));
  const devtools = await page.context().newCDPSession(page);
  let shown = 0;
  const show = async (count: number): Promise<void> => {
    const end = shown + count;
    while (shown < end) {
      for (let burst = 0; burst < 50; burst++) {
        shown++;
        const at = NOW + shown * 1_000;
        const view = liveView(at, NOW);
        // A figure that tells which view it is.
        fake.show({ ...view, fallbacks: { latency: shown } }, livePoint(at, 25));
      }
      await becomes(page, "[data-table=reasons] [data-row=latency] td.number", shown.toLocaleString("en"));
    }
  };
  const size = async (): Promise<{ bytes: number; nodes: number; listeners: number }> => {
    await devtools.send("HeapProfiler.collectGarbage");
    const { usedSize } = await devtools.send("Runtime.getHeapUsage");
    const { nodes, jsEventListeners } = await devtools.send("Memory.getDOMCounters");
    return { bytes: usedSize, nodes, listeners: jsEventListeners };
  };
  await show(500);
  const before = await size();
  await show(3_000);
  const after = await size();
  t.comment(
    `heap ${before.bytes} -> ${after.bytes} bytes, ${before.nodes} -> ${after.nodes} nodes, ${before.listeners} -> ${after.listeners} listeners`,
  );
  t.ok(after.bytes < before.bytes + 3_000_000, `from ${before.bytes} to ${after.bytes} bytes`);
  t.ok(after.nodes < before.nodes * 1.2 + 200, `from ${before.nodes} to ${after.nodes} nodes`);
  t.ok(after.listeners < before.listeners + 50, `from ${before.listeners} to ${after.listeners} listeners`);
  t.same(faults, []);
});
