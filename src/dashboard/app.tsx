import { useEffect } from "preact/hooks";
import { BreakerCard } from "./charts/breaker-card.tsx";
import { HistogramCard } from "./charts/histogram-card.tsx";
import { LatencyCard } from "./charts/latency-card.tsx";
import { ErrorsCard, FallbacksCard, QualityCard } from "./charts/share-cards.tsx";
import { ReasonsCard } from "./charts/reasons-card.tsx";
import { RangeChoice } from "./charts/range-choice.tsx";
import { SegmentsCard, SplitCard } from "./charts/split-cards.tsx";
import { GROUPS, Head } from "./head.tsx";
import { language } from "./i18n.ts";
import { PANELS, type PanelProps } from "./panels/panels.tsx";
import { Refused, SignIn } from "./sign-in.tsx";
import { connection, isStale, view } from "./store.ts";
import { shade } from "./theme.ts";
import { t } from "./words.ts";
import type { ComponentType } from "preact";

/** The whole page, as the feed and people's choices make it. */
export function App() {
  const state = connection.value;
  const shown = view.value;
  const isOld = isStale.value;
  useEffect(() => {
    const { documentElement: root } = document;
    root.lang = language.value;
    root.dataset["theme"] = shade.value;
    document.title = shown === undefined ? "crossfade" : `${shown.flag.flag} · crossfade`;
  }, [language.value, shade.value, shown?.flag.flag]);
  return (
    <>
      <a class="skip" href="#main">
        {t("skip")}
      </a>
      <Head view={shown} />
      <main id="main" tabIndex={-1} class={isOld && shown !== undefined ? "stale" : undefined}>
        {state.state === "sign-in" ? <SignIn refusal={state.refusal} /> : null}
        {state.state === "refused" ? <Refused refusal={state.refusal} /> : null}
        {shown === undefined || state.state === "sign-in" || state.state === "refused"
          ? null
          : GROUPS.map((name) => <Group key={name} name={name} view={shown} />)}
        {shown === undefined && state.state !== "sign-in" && state.state !== "refused" ? <p class="loading">{t("loading")}</p> : null}
      </main>
    </>
  );
}

const PARTS: Readonly<Record<(typeof GROUPS)[number], readonly ComponentType<PanelProps>[]>> = {
  traffic: [SplitCard, LatencyCard, SegmentsCard, HistogramCard],
  quality: [ErrorsCard, QualityCard, FallbacksCard, ReasonsCard, BreakerCard],
  ...PANELS,
};

interface GroupProps extends PanelProps {
  readonly name: (typeof GROUPS)[number];
}

function Group({ name, view }: GroupProps) {
  return (
    <section id={`part-${name}`} class="group" aria-labelledby={`part-${name}-name`}>
      <div class="group-head">
        <h2 id={`part-${name}-name`}>{t(`section.${name}`)}</h2>
        {name === "traffic" ? <RangeChoice /> : null}
      </div>
      <div class="grid">
        {PARTS[name].map((Part, index) => (
          <Part key={index} view={view} />
        ))}
      </div>
    </section>
  );
}
