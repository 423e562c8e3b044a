import { given, instantOf, join, type FactReader, type Telling, type Templates, wordIn } from "./templates.ts";

const PROMISES = { availability: "availability", response_time: "response time", errors: "errors", accuracy: "accuracy" };
const BREAKER = {
  budget: "too many requests had to be answered by the stable version",
  errors: "too many of its answers were errors",
  accuracy: "too many of its answers were not good enough",
  connect: "it could not be reached",
  hand: "somebody opened it by hand",
};
const IMPACTS = { none: "none", degraded: "service degraded", outage: "service interrupted" };
const STATES = { investigating: "under investigation", identified: "cause identified", monitoring: "being watched", resolved: "resolved" };

function tell(title: string, happened: string, means = "", done = "", next = ""): Telling {
  return { title, happened, means, done, next };
}

function at(fact: FactReader): string {
  return join(
    given(fact("step"), (step) => step),
    given(fact("percentage"), (share) => `(${share})`),
  );
}

function because(fact: FactReader): string {
  return given(fact("reason"), (reason) => `Reason: ${reason}.`).replace(/\.\.$/, ".");
}

function by(fact: FactReader): string {
  return given(fact("by"), (who) => ` by ${who}`);
}

function figures(fact: FactReader): string {
  return join(
    given(
      fact("value"),
      (value) =>
        `Measured: ${value}${given(fact("target"), (target) => `, promised: ${fact("direction") === "at-most" ? "at most" : "at least"} ${target}`)}.`,
    ),
    given(fact("limit"), (limit) => `It counts what is answered within ${limit}.`),
    given(fact("p95"), (p95) => `P95: ${p95}.`),
    given(fact("budgetLeft"), (left) => `Of the error budget ${left} are left.`),
    given(fact("others"), (count) => `The same holds for ${count} other version(s) or segment(s).`),
  );
}

function whose(fact: FactReader): string {
  const version = fact("version") === "all" ? "" : given(fact("version"), (name) => `version ${name}`);
  const segment = fact("segment") === "all" ? "" : given(fact("segment"), (name) => `segment ${name}`);
  const both = [version, segment].filter((text) => text !== "").join(", ");
  return both === "" ? "" : ` (${both})`;
}

function rollbackState(fact: FactReader): string {
  if (fact("took") === "") {
    return join(
      "The way back is under way.",
      given(fact("stages"), () => "The stable version cannot take everything at once, so the traffic goes back in stages."),
    );
  }
  return join(
    `The rollback took ${fact("took")}.`,
    given(fact("confirmed"), (count) => `${count} instance(s) have confirmed${given(fact("trafficTook"), (took) => ` after ${took}`)}.`),
    given(fact("unconfirmed"), (names) => `NOT confirmed by ${names}: users may still be on the candidate there.`),
    given(fact("hooksFailed"), (names) => `These follow-up actions did not succeed: ${names}.`),
  );
}

function rollbackTitle(fact: FactReader, flag: string): string {
  return `${flag}: rollback from ${at(fact) || "the candidate"}${given(fact("trigger"), (name) => ` by the trigger ${name}`)}`;
}

export const TEMPLATES_EN: Templates = {
  rollbackState,
  tellings: {
    "rollout-started": (fact, flag) =>
      tell(
        `${flag}: the rollout has started at ${at(fact)}`,
        `The plan ${fact("plan")} was started${by(fact)}${given(fact("percentage"), (share) => `; ${share} of the traffic go to the candidate`)}.`,
        "Users who are moved stay where they are put, also when the share rises.",
        "Triggers are watched: if one fails, everybody goes back to the stable version by itself.",
        "The next step is entered when its time is over and every gate passes.",
      ),
    "rollout-advanced": (fact, flag) =>
      tell(
        `${flag}: ${given(fact("from"), (from) => `from ${from} to `)}${fact("percentage") || at(fact)}`,
        `The rollout has entered the step ${at(fact)}.`,
        "All gates of the step before have passed.",
        "Triggers are watched as before.",
        "The next step is entered when its time is over and every gate passes.",
      ),
    "rollout-waiting": (fact, flag) =>
      fact("roles") === ""
        ? tell(
            `${flag}: waits at ${at(fact)}`,
            `The time of the step ${at(fact)} is over, but not everything that it asks for is there.`,
            "The share stays as it is.",
            given(fact("reasons"), (reasons) => `What is missing: ${reasons}.`),
            "It goes on by itself as soon as everything is there.",
          )
        : tell(
            `${flag}: waits for approval at ${at(fact)}`,
            `The step ${at(fact)} may be left only when these have approved: ${fact("roles")}.`,
            "The share stays as it is until then.",
            given(fact("reasons"), (reasons) => `Present state: ${reasons}.`),
            `Look at the figures, then: crossfade rollout approve --flag ${flag} --role ROLE`,
          ),
    "rollout-held": (fact, flag) =>
      fact("cause") === "pause"
        ? tell(
            `${flag}: paused at ${at(fact)}`,
            join(`The rollout was paused${by(fact)} at ${at(fact)}.`, because(fact)),
            "The share stays as it is; triggers are watched all the same.",
            "",
            `To go on: crossfade rollout resume --flag ${flag}`,
          )
        : tell(
            `${flag}: held at ${at(fact)}: its settings were changed by hand`,
            join(`The settings in force are not those of the step ${at(fact)}.`, because(fact)),
            "Somebody's hand wins: the rollout does not move, neither forward nor back to its own figures. Triggers are watched all the same.",
            "",
            `Find out who changed them and why (audit on the dashboard), then: crossfade rollout resume --flag ${flag}`,
          ),
    "rollout-resumed": (fact, flag) =>
      tell(
        `${flag}: goes on at ${at(fact)}`,
        `The rollout goes on at the step ${at(fact)}${by(fact)}.`,
        "",
        "Triggers are watched as before.",
      ),
    "rollout-rolling-back": (fact, flag) =>
      tell(
        rollbackTitle(fact, flag),
        join(`The rollout was rolled back from ${at(fact) || "the candidate"}${by(fact)}.`, because(fact)),
        "Everybody is served by the stable version, or will be in a moment. Users are answered; nobody need do anything for that.",
        rollbackState(fact),
        "Find the cause before it is resumed: it does not go on by itself.",
      ),
    "rollout-rolled-back": (fact, flag) =>
      tell(
        `${flag}: rolled back${given(fact("took"), (took) => ` in ${took}`)}`,
        rollbackState(fact),
        fact("unconfirmed") === ""
          ? "Everybody is served by the stable version."
          : "Look at once after the instances that have not confirmed, or end them.",
        because(fact),
        `Find the cause, then resume at a step: crossfade rollout resume --flag ${flag} --at STEP`,
      ),
    "rollout-completed": (fact, flag) =>
      tell(
        `${flag}: completed`,
        `The plan ${fact("plan")} is completed${given(fact("took"), (took) => ` after ${took}`)}; ${fact("percentage") || "everybody"} of the traffic go to the candidate.`,
        "",
        "Triggers are still watched, until the stable version is gone.",
      ),
    "trigger-failing": (fact, flag) =>
      tell(
        `${flag}: the trigger ${fact("trigger")} fails and nothing was rolled back`,
        join(`The trigger ${fact("trigger")} has been failing.`, because(fact)),
        join(
          "Users on the candidate may be served badly.",
          given(fact("reasons"), (reasons) => `Why it stays: ${reasons}.`),
        ),
        "",
        `Decide at once: crossfade rollout rollback --flag ${flag}, or crossfade kill --flag ${flag}`,
      ),
    "trigger-passing": (fact, flag) =>
      tell(`${flag}: the trigger ${fact("trigger")} fails no more`, join(`The trigger ${fact("trigger")} fails no more.`, because(fact))),
    killed: (fact, flag) =>
      tell(
        `${flag}: the kill switch was pulled`,
        join(`The kill switch of ${flag} was pulled${by(fact)}.`, because(fact)),
        "Everybody is served by the stable version. A rollout does not move meanwhile.",
        "",
        `When the cause is gone: crossfade unkill --flag ${flag}`,
      ),
    unkilled: (fact, flag) =>
      tell(
        `${flag}: the kill switch was released`,
        join(`The kill switch of ${flag} was released${by(fact)}.`, because(fact)),
        "The share of the settings is in force again.",
      ),
    "breaker-open": (fact, flag) =>
      tell(
        `${flag}: the breaker of ${fact("route") || "a route"} is open`,
        `${fact("upstream") || "The candidate"} gets no requests from the instance ${fact("instance") || "that tells this"}: ${wordIn(BREAKER, fact("why")) || "its figures were bad"}.`,
        "Its users are answered by the stable version.",
        fact("why") === "hand" ? "" : "It is tried again by itself, with a few requests at first.",
        fact("why") === "hand"
          ? "It stays open until somebody sets it to auto again."
          : "If it does not close within minutes, look at the candidate.",
      ),
    "breaker-closed": (fact, flag) =>
      tell(
        `${flag}: the breaker of ${fact("route") || "a route"} is closed`,
        `${fact("upstream") || "The candidate"} gets its share again.`,
      ),
    "incident-opened": (fact) =>
      tell(
        `Incident ${fact("incident")}: ${fact("title")}`,
        join(`${fact("title")}.`, fact("text")),
        given(fact("impact"), (impact) => `Impact on customers: ${wordIn(IMPACTS, impact)}.`),
        given(fact("by"), (who) => `Opened by ${who}.`),
        given(fact("incident"), (id) => `Tell how it goes on: crossfade incident update ${id}`),
      ),
    "incident-updated": (fact) =>
      tell(
        `Incident ${fact("incident")}: ${given(fact("state"), (state) => wordIn(STATES, state))}`,
        join(
          given(fact("title"), (title) => `${title}.`),
          fact("text"),
        ),
        given(fact("impact"), (impact) => `Impact on customers: ${wordIn(IMPACTS, impact)}.`),
        given(fact("by"), (who) => `Written by ${who}.`),
      ),
    "incident-resolved": (fact) =>
      tell(
        `Incident ${fact("incident")}: resolved`,
        join(
          given(fact("title"), (title) => `${title}.`),
          fact("text"),
          "The incident is resolved.",
        ),
        "",
        given(fact("by"), (who) => `Resolved by ${who}.`),
      ),
    "maintenance-announced": (fact) =>
      tell(
        fact("cancelled") === "" ? `Maintenance announced: ${fact("title")}` : `Maintenance cancelled: ${fact("title")}`,
        join(
          given(fact("title"), (title) => `${title}.`),
          fact("text"),
        ),
        fact("cancelled") === "" ? `From ${instantOf(fact("from"))} to ${instantOf(fact("to"))}.` : "It will not take place.",
        given(fact("by"), (who) => `Announced by ${who}.`),
      ),
    "sla-warning": (fact, flag) =>
      tell(
        `${flag}: ${wordIn(PROMISES, fact("promise"))} is close to its limit${whose(fact)}`,
        `Most of the error budget for ${wordIn(PROMISES, fact("promise"))} is spent${whose(fact)}.`,
        figures(fact),
        "",
        `Be careful with further steps: crossfade sla status --flag ${flag}`,
      ),
    "sla-breached": (fact, flag) =>
      tell(
        `${flag}: the promise on ${wordIn(PROMISES, fact("promise"))} is broken${whose(fact)}`,
        `What was promised on ${wordIn(PROMISES, fact("promise"))} is not kept${whose(fact)}.`,
        figures(fact),
        "It counts as recovered when it has been kept again for a while.",
        `Look for the cause, and hold further steps: crossfade sla status --flag ${flag}`,
      ),
    "sla-recovered": (fact, flag) =>
      tell(
        `${flag}: the promise on ${wordIn(PROMISES, fact("promise"))} is kept again`,
        `What was promised on ${wordIn(PROMISES, fact("promise"))} is kept again${fact("state") === "warning" ? ", but little of the budget is left" : ""}.`,
        figures(fact),
      ),
    "store-lost": (fact) =>
      tell(
        "The store cannot be reached",
        join(
          "The store of the settings cannot be reached.",
          given(fact("reason"), (reason) => `${reason.replace(/\.$/, "")}.`),
        ),
        "Traffic goes on with the last good settings. No rollout moves, neither forward nor back; figures of the fleet are not gathered.",
        "It is tried again all the time.",
        "Bring the store back. In an emergency the kill switch works on each instance: crossfade kill --flag FLAG",
      ),
    "store-back": () =>
      tell("The store is there again", "The store of the settings can be reached again.", "Rollouts go on from where they were."),
    test: (fact) =>
      tell(
        `Test of the channel ${fact("channel")}`,
        `This is a test${by(fact)}. If you read it, the channel ${fact("channel")} works.`,
        "Nothing has happened, and nothing is to be done.",
      ),
  },
  flow: [
    (fact, flag, state) =>
      tell(
        rollbackTitle(fact, flag),
        join(`A rollback of ${flag} from ${at(fact) || "the candidate"} has begun${by(fact)}.`, because(fact)),
        "Everybody goes back to the stable version; users are answered all the time.",
        state,
        "More will follow on this.",
      ),
    (fact, flag, state) =>
      tell(
        `${flag}: where the rollback is`,
        state,
        fact("took") === ""
          ? "Until all have confirmed some users may still be on the candidate."
          : "Customers are served by the stable version.",
        because(fact),
        "The cause is being looked for.",
      ),
    (fact, flag, state) =>
      tell(
        `${flag}: what is known of the rollback`,
        join(`It was rolled back from ${at(fact) || "the candidate"}.`, because(fact)),
        state,
        given(fact("trigger"), (name) => `It was decided by the trigger ${name}.`),
        "Whoever looks after it writes what they know to the incident, for the status page.",
      ),
    (fact, flag, state) =>
      tell(
        `${flag}: what the rollback means for customers`,
        "Customers use the version that they knew before; nothing is asked of them.",
        state,
        because(fact),
        "Tell customers who ask; correct the status page if it says otherwise.",
      ),
    (fact, flag, state) =>
      tell(
        `${flag}: analysis of the rollback`,
        join(`The rollback from ${at(fact) || "the candidate"} was two hours ago.`, because(fact)),
        state,
        `Figures and record: crossfade rollout status --flag ${flag}`,
        "Decide who finds the cause and by when. Nothing is resumed before it is known.",
      ),
    (fact, flag, state) =>
      tell(
        `${flag}: review of the rollback`,
        join(`The rollback from ${at(fact) || "the candidate"} was a day ago.`, because(fact)),
        state,
        "",
        "Write down cause, effect and what is changed; then decide on a new date, or stay on the stable version. This is the last message on it.",
      ),
  ],
  frame: {
    over: "Over",
    reminder: (index) => `Reminder ${index}`,
    level: (level, policy) => `Escalation level ${level} (${policy})`,
    flow: (after) => `Rollback +${after}`,
    since: (instant) => `Since ${instant}.`,
    lasted: (length) => `It lasted ${length}.`,
    times: (count) => `It has happened ${count} times.`,
    late: (length) => `This message comes ${length} late: it could not be sent before.`,
    acknowledged: (who, instant) => `${who} looks after it (acknowledged ${instant}).`,
    resolved: (instant) => `It is over since ${instant}.`,
    nobody: "Nobody has acknowledged it yet.",
    called: (level) => `You are called because nobody has acknowledged it; this is level ${level}.`,
    acknowledge: "Acknowledge",
    byCommand: "Acknowledge by command",
    dashboard: "Dashboard",
    notice: "Notice",
    severity: "Severity",
    flag: "Flag",
    units: { d: "d", h: "h", min: "min", s: "s" },
  },
};
