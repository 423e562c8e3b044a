import type { LiveView } from "../admin/live/view.ts";
import type { BreakerStatus } from "../admin/operations.ts";
import { parseDuration, parseShare } from "../core/quantity.ts";
import { latest } from "./charts/now.ts";
import { Badge, type Tone } from "./components/badge.tsx";
import { Figure } from "./components/figure.tsx";
import { duration, share } from "./i18n.ts";
import { t } from "./words.ts";

/** The worst first. */
const BREAKERS: readonly BreakerStatus["state"][] = ["open", "half-open", "returning", "closed"];
const TONES: Readonly<Record<BreakerStatus["state"], Tone>> = { open: "bad", "half-open": "warn", returning: "warn", closed: "good" };

/** How the candidate does at this moment, in sight wherever one has scrolled to: red beyond what the settings of the flag allow. */
export function Vitals({ view }: { readonly view: LiveView }) {
  const { settings } = view.flag;
  const errors = latest("candidate", "errors");
  const fallbacks = latest("candidate", "fallbacks");
  const p95 = latest("candidate", "p95");
  return (
    <dl class="vitals">
      <Figure name="errors" label={t("vitals.errors")} value={share(errors)} {...toned(errors, shareOf(settings["fallback.error_rate"]))} />
      <Figure
        name="fallbacks"
        label={t("vitals.fallbacks")}
        value={share(fallbacks)}
        {...toned(fallbacks, shareOf(settings["fallback.budget"]))}
      />
      <Figure
        name="p95"
        label={t("vitals.p95")}
        value={duration(p95)}
        {...toned(p95, parseDuration(settings["fallback.response_time"] ?? ""))}
      />
      <Figure name="breaker" label={t("breaker.state")} value={<WorstBreaker view={view} />} />
    </dl>
  );
}

function toned(value: number, limit: number | undefined): { readonly tone?: Tone } {
  return limit !== undefined && value > limit ? { tone: "bad" } : {};
}

/** Of this instance's routes. */
function WorstBreaker({ view: { status, flag } }: { readonly view: LiveView }) {
  const own = status.breakers.filter((breaker) => breaker.flag === flag.flag && breaker.mode !== "off");
  const worst = BREAKERS.find((state) => own.some((breaker) => breaker.state === state));
  return worst === undefined ? <Badge tone="idle">{t("breaker.off")}</Badge> : <Badge tone={TONES[worst]}>{t(`breaker.${worst}`)}</Badge>;
}

/** Settings are written in per cent; here 0..1. */
function shareOf(text: string | undefined): number | undefined {
  const basisPoints = parseShare(text ?? "");
  return basisPoints === undefined ? undefined : basisPoints / 10_000;
}
