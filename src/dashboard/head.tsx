import type { LiveView } from "../admin/live/view.ts";
import { candidateShare, splitOf } from "./charts/split.ts";
import { Badge, type Tone } from "./components/badge.tsx";
import { ApiText } from "./components/card.tsx";
import { Choice } from "./components/field.tsx";
import { Figure } from "./components/figure.tsx";
import { number, percent, share, timeOfDay } from "./i18n.ts";
import { WayBack } from "./panels/panels.tsx";
import { Preferences } from "./preferences.tsx";
import { chooseFlag, connection, flagName, isStale } from "./store.ts";
import { Vitals } from "./vitals.tsx";
import { t } from "./words.ts";

/** The parts of the page, in their order. */
export const GROUPS = ["traffic", "quality", "plan", "checks", "operations"] as const;

/** Always in sight: what is in force, whether what one sees is true, and the way back. */
export function Head({ view }: { readonly view: LiveView | undefined }) {
  return (
    <header class={isStale.value && view !== undefined ? "head stale" : "head"}>
      <div class="top">
        <div class="top-flag">
          {connection.value.state === "sign-in" || connection.value.state === "refused" ? null : <Flag view={view} />}
          <ConnectionBadge />
        </div>
        {view === undefined ? null : <InForce view={view} />}
        {view === undefined ? null : <Vitals view={view} />}
        <div class="top-acts">
          {view === undefined ? null : <WayBack view={view} />}
          <Preferences />
        </div>
      </div>
      {view === undefined ? null : (
        <div class="strip">
          <Strip view={view} />
          <nav class="places" aria-label={t("places")}>
            {GROUPS.map((name) => (
              <a key={name} href={`#part-${name}`}>
                {t(`section.${name}`)}
              </a>
            ))}
          </nav>
        </div>
      )}
      {view === undefined ? null : <Notes view={view} />}
      <p class="unseen" role="status">
        {announcement(view)}
      </p>
    </header>
  );
}

function Flag({ view }: { readonly view: LiveView | undefined }) {
  const name = flagName.value ?? "crossfade";
  const flags = view?.status.flags ?? [];
  if (flags.length < 2) return <h1>{name}</h1>;
  return (
    <>
      <h1 class="unseen">{name}</h1>
      <Choice
        quiet
        name="flag"
        label={t("flag")}
        value={name}
        options={flags.map(({ flag }) => ({ value: flag, text: flag }))}
        onChoose={chooseFlag}
      />
    </>
  );
}

function ConnectionBadge() {
  const state = connection.value;
  const [tone, text] = ((): [Tone, string] => {
    switch (state.state) {
      case "live":
        return ["good", t("live.live")];
      case "reconnecting":
        return ["bad", t("live.reconnecting", { since: timeOfDay(state.since) })];
      case "connecting":
        return ["info", t("live.connecting")];
      case "sign-in":
        return ["idle", t("signin.title")];
      case "refused":
        return ["bad", t("live.refused")];
    }
  })();
  return (
    <span class="connection" data-connection={state.state} title={state.state === "reconnecting" ? state.why : undefined}>
      <Badge tone={tone}>{text}</Badge>
    </span>
  );
}

/** The one number that everything is about. */
function InForce({ view }: { readonly view: LiveView }) {
  const flag = flagOf(view);
  const split = splitOf(view);
  const all = split === undefined ? undefined : split.stable + split.candidate;
  const isOff = view.flag.killed || flag?.enabled === false;
  return (
    <dl class="top-share">
      <div class={isOff ? "figure figure-big off" : "figure figure-big"} data-figure="inforce">
        <dt>{t("head.inforce")}</dt>
        <dd class="figure-value">{percent(flag?.percentage)}</dd>
        {isOff ? <dd class="figure-note">{view.flag.killed ? t("kill.on") : t("flag.disabled")}</dd> : null}
      </div>
      <Figure
        name="actual"
        label={t("head.actual")}
        value={share(candidateShare(split))}
        note={
          all === 0 || split === undefined ? t("head.actual.none") : t("head.actual.note", { candidate: split.candidate, all: all ?? 0 })
        }
      />
    </dl>
  );
}

const STATUS_TONES: Readonly<Record<string, Tone>> = {
  idle: "idle",
  progressing: "info",
  waiting: "info",
  held: "warn",
  "rolling-back": "bad",
  "rolled-back": "bad",
  completed: "good",
};

function Strip({ view }: { readonly view: LiveView }) {
  const split = splitOf(view);
  const { store } = view.status;
  const { ready, degraded } = view.readiness;
  const instances = view.flag.instances;
  const alive = instances?.filter((each) => each.alive).length;
  return (
    <dl class="figures">
      <Figure
        name="rollout"
        label={t("head.rollout")}
        value={
          // In one line, or the whole page would move when a rollout begins.
          <>
            <Badge tone={STATUS_TONES[statusOf(view)] ?? "idle"}>{t(`status.${statusOf(view)}`)}</Badge>{" "}
            <span class="figure-note">{stepNote(view)}</span>
          </>
        }
      />
      <Figure name="kill" label={t("head.kill")} value={<Badge tone={view.flag.killed ? "bad" : "good"}>{killText(view)}</Badge>} />
      <Figure
        name="store"
        label={t("head.store")}
        value={
          <Badge tone={store.up ? (store.kind === "memory" ? "warn" : "good") : "bad"}>
            {store.up ? (store.kind === "memory" ? t("store.memory") : t("store.up")) : t("store.down")}
          </Badge>
        }
      />
      <Figure
        name="instances"
        label={t("head.instances")}
        value={
          instances === null || alive === undefined ? (
            <Badge tone="warn">{t("store.unknown")}</Badge>
          ) : (
            <Badge tone={alive === instances.length ? "good" : "warn"}>{t("instances.value", { alive, all: instances.length })}</Badge>
          )
        }
      />
      <Figure
        name="ready"
        label={t("head.ready")}
        value={
          <Badge tone={ready ? (degraded.length === 0 ? "good" : "warn") : "bad"}>
            {ready ? (degraded.length === 0 ? t("ready.yes") : t("ready.degraded")) : t("ready.no")}
          </Badge>
        }
      />
      <Figure
        name="rate"
        label={t("head.rate")}
        value={number(split === undefined ? undefined : (split.stable + split.candidate) / 10, 1)}
      />
    </dl>
  );
}

/** What readiness says, as it says it. */
function Notes({ view }: { readonly view: LiveView }) {
  const notes = [...view.readiness.reasons, ...view.readiness.degraded];
  if (notes.length === 0) return null;
  return (
    <ul class="notes" aria-label={t("notes.title")}>
      {notes.map((note) => (
        <li key={note}>
          <span aria-hidden="true">! </span>
          <ApiText>{note}</ApiText>
        </li>
      ))}
    </ul>
  );
}

function flagOf(view: LiveView): LiveView["status"]["flags"][number] | undefined {
  return view.status.flags.find(({ flag }) => flag === view.flag.flag);
}

type StatusWord = "idle" | "progressing" | "waiting" | "held" | "rolling-back" | "rolled-back" | "completed" | "unknown";

function statusOf({ rollout }: LiveView): StatusWord {
  if (rollout === undefined) return "unknown";
  return rollout.rollout?.state.status ?? "idle";
}

function stepNote({ rollout }: LiveView): string | undefined {
  const running = rollout?.rollout;
  if (running === undefined || !("step" in running.state)) return undefined;
  return t("step.of", { step: running.state.step + 1, count: running.plan.steps.length });
}

function killText({ flag }: LiveView): string {
  if (!flag.killed) return t("kill.off");
  return flag.killedHere ? t("kill.here") : t("kill.on");
}

/** Changes only when a state does, so nobody is read numbers every second. */
function announcement(view: LiveView | undefined): string {
  const state = connection.value;
  if (view === undefined || state.state === "sign-in" || state.state === "refused") return "";
  const parts = [
    state.state === "reconnecting" ? t("live.reconnecting", { since: timeOfDay(state.since) }) : t(`live.${state.state}`),
    `${t("head.inforce")}: ${percent(flagOf(view)?.percentage)}`,
    `${t("head.rollout")}: ${t(`status.${statusOf(view)}`)}`,
    `${t("head.kill")}: ${killText(view)}`,
  ];
  return parts.join(". ");
}
