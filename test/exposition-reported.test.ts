import t from "tap";
import { ReportTally } from "../src/analysis/events/reported.ts";
import { writeReported } from "../src/telemetry/reported.ts";
import { MetricText } from "../src/telemetry/text-format.ts";

const BEGUN = 1_800_000_000_000;

/** A store that tells, call by call, what is in it by then. */
function told() {
  const signals: { text: string; arrivedAt: number }[] = [];
  let now = BEGUN;
  const store = {
    async signalsAfter(_: string, cursor: string) {
      return { cursor: String(signals.length), signals: signals.slice(Number(cursor)) };
    },
  };
  const tally = new ReportTally({ store, flag: "f", business: () => undefined, now: () => now });
  return {
    tally,
    say(kind: string, value: number, agoMs = 0) {
      signals.push({ text: JSON.stringify({ kind, at: now - agoMs, value, note: "" }), arrivedAt: now - agoMs });
    },
    pass: (ms: number) => void (now += ms),
  };
}

t.test("what was reported is counted once, and not what came before the start", async (t) => {
  const { tally, say, pass } = told();
  say("sessions_lost", 5, 60_000);
  say("security", 0, 60_000);
  await tally.refresh();
  t.match(tally.figures, { sessionsLost: 0, security: { P0: 0 } });
  pass(1_000);
  say("sessions_lost", 2);
  say("security", 1);
  await tally.refresh();
  await tally.refresh();
  t.match(tally.figures, { sessionsLost: 2, security: { P0: 0, P1: 1, P2: 0 } });
});

t.test("the last report of lag and integrity holds for ten minutes", async (t) => {
  const { tally, say, pass } = told();
  t.match(tally.figures, { syncLagSeconds: undefined, dataIntegrity: undefined });
  say("sync_lag", 0.7);
  say("data_integrity", 0.99);
  pass(1_000);
  say("sync_lag", 0.2);
  await tally.refresh();
  t.match(tally.figures, { syncLagSeconds: 0.2, dataIntegrity: 0.99 });
  pass(11 * 60_000);
  await tally.refresh();
  t.match(tally.figures, { syncLagSeconds: undefined, dataIntegrity: undefined });
});

t.test("counters stand at 0 from the start; what is not known has no figure", async (t) => {
  const { tally } = told();
  tally.took({ accepted: 3, duplicates: 1, passedOn: 0, late: 0, unattributed: 0, refused: [] });
  const text = new MetricText();
  writeReported(text, [tally.figures]);
  const lines = text.toString().split("\n");
  for (const line of [
    'crossfade_events_total{flag="f",result="accepted"} 3',
    'crossfade_events_total{flag="f",result="refused"} 0',
    'crossfade_sessions_lost_total{flag="f"} 0',
    'crossfade_security_incidents_total{flag="f",priority="P0"} 0',
  ]) {
    t.ok(lines.includes(line), line);
  }
  t.notOk(lines.some((line) => line.startsWith("crossfade_sync_lag_seconds{")));
});
