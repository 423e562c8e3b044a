import { defaulted, duration, type Reading, type Scalar, share, toggle } from "./scalars.ts";
import { mapping } from "./shapes.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MOST_BP = 9_999;

/** A share that leaves something to spend: with a budget of nothing there is no warning before the breach. */
const target: Scalar<number> = {
  ...share,
  expected: "a percentage from 0.01 to 99.99, such as 99.9",
  read(text): Reading<number> {
    const reading = share.read(text);
    if ("wrong" in reading) return reading;
    if (reading.value >= 1 && reading.value <= MOST_BP) return reading;
    return { wrong: `${text.trim()} leaves no room between kept and broken; expected ${target.expected}` };
  },
};

/** It is counted by the hour. */
function window(max: number): Scalar<number> {
  const length = duration({ min: HOUR, max });
  return {
    ...length,
    expected: `${length.expected}, in whole hours`,
    read(text) {
      const reading = length.read(text);
      if ("wrong" in reading || reading.value % HOUR === 0) return reading;
      return { wrong: `${text.trim()} is not a number of whole hours, by which it is counted; write ${Math.ceil(reading.value / HOUR)}h` };
    },
  };
}

const enabled = (what: string) => defaulted(toggle, true, `Whether ${what} is promised at all.`);
const over = (preset: string, max = 30 * DAY) =>
  defaulted(window(max), preset, "Over how long it is kept: to the hour, that in which the window begins counted as a whole.");

const availability = mapping(
  {
    enabled: enabled("availability"),
    target: defaulted(target, 99.9, "Least share of requests that get an answer without a 5xx."),
    window: over("30d"),
  },
  "target: 99.9, window: 30d",
);

const responseTime = mapping(
  {
    enabled: enabled("response time"),
    target: defaulted(target, 95, "Least share of requests that are answered, without a 5xx, within `within`."),
    within: defaulted(
      duration({ min: 1, max: 60_000 }),
      "100ms",
      "The time from a request's head to the end of its answer that is promised. The histograms of request durations get an edge here.",
    ),
    window: over("24h"),
  },
  "target: 95, within: 100ms, window: 24h",
);

const errors = mapping(
  {
    enabled: enabled("a limit of errors"),
    target: defaulted(target, 1, "Greatest share of requests that get a 5xx or no whole answer."),
    window: over("24h"),
  },
  "target: 1, window: 24h",
);

const accuracy = mapping(
  {
    enabled: enabled("accuracy"),
    target: defaulted(
      target,
      85,
      "Least share of judged matches that users confirm, by the events that are reported. Without events there is no verdict.",
    ),
    window: over("24h", DAY),
  },
  "target: 85, window: 24h",
);

const section = (what: string) => ({ description: what });

export const sla = mapping(
  {
    availability: availability.prefault({}).meta(section("Share of requests that are answered.")),
    response_time: responseTime.prefault({}).meta(section("Share of requests that are answered in time.")),
    errors: errors.prefault({}).meta(section("Share of requests that fail.")),
    accuracy: accuracy.prefault({}).meta(section("Share of matches that users find right.")),
    warn_at: defaulted(share, 90, "Share of the error budget that may be spent before a promise is in danger (docs/sla.md)."),
    recovered_after: defaulted(
      duration({ min: 0, max: DAY }),
      "15m",
      "How long a breached promise must be kept again before it counts as recovered. 0: at once.",
    ),
  },
  "availability: { target: 99.9, window: 30d }",
)
  .prefault({})
  .meta({ description: "What was promised to customers, for every flag. The same on all instances." });
