import fc from "fast-check";
import t from "tap";
import { calendarVerdict } from "../src/controller/calendar.ts";
import type { Calendar } from "../src/controller/plan.ts";

const ALWAYS: Calendar = { days: [], hours: undefined, freeze: [] };
const OFFICE: Calendar = { days: [1, 2, 3, 4], hours: { from: 540, to: 1_020 }, freeze: [] };
const PARIS = "Europe/Paris";
const at = (text: string): number => Date.parse(text);
const opening = (calendar: Calendar, zone: string, now: string): string => {
  const { opensAt } = calendarVerdict(calendar, zone, at(now));
  return opensAt === undefined ? "never" : new Date(opensAt).toISOString();
};

t.test("office hours are those of the clock on the wall, in summer and in winter", async (t) => {
  t.ok(calendarVerdict(OFFICE, PARIS, at("2026-11-23T08:00:00Z")).open);
  t.notOk(calendarVerdict(OFFICE, PARIS, at("2026-11-23T07:59:59Z")).open);
  t.ok(calendarVerdict(OFFICE, PARIS, at("2026-07-06T07:00:00Z")).open);
  t.notOk(calendarVerdict(OFFICE, PARIS, at("2026-11-23T16:00:00Z")).open, "the end is not part of them");
  t.equal(opening(OFFICE, PARIS, "2026-11-26T16:30:00Z"), "2026-11-30T08:00:00.000Z", "Thursday evening to Monday morning");
  t.match(calendarVerdict(OFFICE, PARIS, at("2026-11-28T10:00:00Z")).why, /closed on a Saturday; opens on Monday 2026-11-30 09:00/);
});

t.test("a freeze covers its first and its last day, there and not in UTC", async (t) => {
  const frozen = { ...ALWAYS, freeze: [{ from: "2026-12-24", to: "2027-01-03" }] };
  t.ok(calendarVerdict(frozen, PARIS, at("2026-12-23T22:59:59Z")).open);
  t.notOk(calendarVerdict(frozen, PARIS, at("2026-12-23T23:00:00Z")).open);
  t.equal(opening(frozen, PARIS, "2026-12-25T12:00:00Z"), "2027-01-03T23:00:00.000Z");
  t.equal(opening(frozen, "Pacific/Auckland", "2026-12-25T12:00:00Z"), "2027-01-03T11:00:00.000Z");
});

t.test("an hour that spring leaves out does not open, one that autumn repeats opens twice", async (t) => {
  const early = { ...ALWAYS, hours: { from: 120, to: 150 } };
  t.equal(opening(early, PARIS, "2026-03-29T00:30:00Z"), "2026-03-30T00:00:00.000Z", "02:00 to 02:30 is not there on 29 March");
  t.equal(opening(early, PARIS, "2026-10-25T00:00:00Z"), "2026-10-25T00:00:00.000Z");
  t.equal(opening(early, PARIS, "2026-10-25T00:40:00Z"), "2026-10-25T01:00:00.000Z", "02:00 comes again an hour later");
  const across = { ...ALWAYS, hours: { from: 150, to: 240 } };
  t.equal(opening(across, PARIS, "2026-03-29T00:30:00Z"), "2026-03-29T01:00:00.000Z", "02:30 is not there, 03:00 is");
});

t.test("a zone without some midnights, and one that skipped a day", async (t) => {
  const sundays = { ...ALWAYS, days: [7] };
  t.equal(opening(sundays, "Africa/Cairo", "2026-04-24T12:00:00Z"), "2026-04-25T21:00:00.000Z");
  const friday = { ...ALWAYS, days: [5] };
  t.equal(opening(friday, "Pacific/Apia", "2011-12-29T12:00:00Z"), "2012-01-05T10:00:00.000Z", "30 December 2011 was left out");
});

t.test("what never opens says so", async (t) => {
  const never: Calendar = { days: [], hours: { from: 600, to: 600 }, freeze: [] };
  t.same([calendarVerdict(never, PARIS, 0).open, calendarVerdict(never, PARIS, 0).opensAt], [false, undefined]);
  t.equal(opening({ ...ALWAYS, freeze: [{ from: "2000-01-01", to: "2099-12-31" }] }, "UTC", "2026-01-01T00:00:00Z"), "never");
  t.match(calendarVerdict(ALWAYS, "Europe/Pariss", 0), { open: false, opensAt: undefined });
  t.equal(calendarVerdict(ALWAYS, "UTC", Number.NaN).open, false);
  t.equal(calendarVerdict(ALWAYS, "UTC", 8.7e15).open, false);
});

const minute = fc.integer({ min: 0, max: 1_440 });
const calendars: fc.Arbitrary<Calendar> = fc.record({
  days: fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
  hours: fc.option(
    fc.tuple(minute, minute).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) })),
    { nil: undefined },
  ),
  freeze: fc.constant([{ from: "2026-03-28", to: "2026-03-28" }]),
});
/** Around the changes of clocks of 2026. */
const instants = fc
  .tuple(
    fc.constantFrom(at("2026-03-26T00:00:00Z"), at("2026-10-22T00:00:00Z"), at("2026-04-02T00:00:00Z")),
    fc.integer({ min: 0, max: 6 * 1_440 }),
  )
  .map(([from, minutes]) => from + minutes * 60_000);
const zones = fc.constantFrom("UTC", PARIS, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Auckland");

/** The wall's clock as the system's own calendar tells it. */
function naive(calendar: Calendar, timeZone: string, now: number): boolean {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone, dateStyle: "short", timeStyle: "short", hourCycle: "h23" }).formatToParts(now);
  const part = (type: string): string => parts.find((found) => found.type === type)?.value ?? "";
  const date = `${part("year")}-${part("month")}-${part("day")}`;
  const minutes = Number(part("hour")) * 60 + Number(part("minute"));
  const day = new Date(`${date}T12:00:00Z`).getUTCDay() || 7;
  if (calendar.freeze.some(({ from, to }) => from <= date && date <= to)) return false;
  if (!calendar.days.includes(day)) return false;
  return calendar.hours === undefined || (minutes >= calendar.hours.from && minutes < calendar.hours.to);
}

t.test("it is open when the wall says so, and never before the instant that was named", async () => {
  fc.assert(
    fc.property(calendars, zones, instants, (calendar, zone, now) => {
      const verdict = calendarVerdict(calendar, zone, now);
      if (verdict.open !== naive(calendar, zone, now)) return false;
      if (verdict.opensAt === undefined) return calendar.hours?.from === calendar.hours?.to;
      if (verdict.open) return verdict.opensAt === now;
      const before = fc.sample(fc.integer({ min: now, max: verdict.opensAt - 1 }), { numRuns: 20, seed: 7 });
      return (
        naive(calendar, zone, verdict.opensAt) &&
        ![...before, verdict.opensAt - 60_000].some((ms) => ms >= now && naive(calendar, zone, ms))
      );
    }),
    { numRuns: 300, seed: 7 },
  );
});
