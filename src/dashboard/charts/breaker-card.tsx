import type { BreakerStatus } from "../../admin/operations.ts";
import { Badge, type Tone } from "../components/badge.tsx";
import { Card, Nothing } from "../components/card.tsx";
import { Meter } from "../components/figure.tsx";
import { type Column, Table } from "../components/table.tsx";
import { instant, number, share } from "../i18n.ts";
import type { PanelProps } from "../panels/panels.tsx";
import { t } from "../words.ts";

const TONES: Readonly<Record<BreakerStatus["state"], Tone>> = { closed: "good", open: "bad", "half-open": "warn", returning: "warn" };

/** How much of what may be sent besides is used, and whether the candidate is trusted, route by route, on this instance. */
export function BreakerCard({ view }: PanelProps) {
  const breakers = view.status.breakers.filter(({ flag }) => flag === view.flag.flag);
  return (
    <Card id="breakers" title={t("breaker.title")} span={6} aside={<span class="note">{t("reasons.scope")}</span>}>
      {breakers.length === 0 ? (
        <Nothing>{t("breaker.none")}</Nothing>
      ) : (
        <Table name="breakers" caption={t("breaker.title")} columns={columns()} rows={breakers} keyOf={({ route }) => route} />
      )}
    </Card>
  );
}

function columns(): readonly Column<BreakerStatus>[] {
  return [
    { key: "route", head: t("breaker.route"), header: true, cell: ({ route }) => route },
    {
      key: "state",
      head: t("breaker.state"),
      cell: (breaker) => (
        <>
          <Badge tone={breaker.mode === "off" ? "idle" : TONES[breaker.state]}>{stateText(breaker)}</Badge>
          {breaker.since === undefined || breaker.state === "closed" ? null : (
            <span class="note">{t("breaker.since", { since: instant(breaker.since) })}</span>
          )}
        </>
      ),
    },
    {
      key: "budget",
      head: t("breaker.budget"),
      cell: ({ window }) => (
        <span class="with-meter">
          <Meter
            label={t("breaker.budget")}
            value={window.budgetUsed}
            text={share(window.budgetUsed, 0)}
            tone={window.budgetUsed >= 1 ? "bad" : window.budgetUsed >= 0.8 ? "warn" : "info"}
          />
          <span class="number">{share(window.budgetUsed, 0)}</span>
        </span>
      ),
    },
    { key: "extra", head: t("breaker.extra"), number: true, cell: ({ window }) => number(window.extra) },
    { key: "openings", head: t("breaker.openings"), number: true, cell: ({ openings }) => number(openings) },
  ];
}

function stateText({ mode, state, why }: BreakerStatus): string {
  if (mode === "off") return t("breaker.off");
  const word = t(`breaker.${state}`);
  if (mode !== "auto") return `${word} (${t("breaker.forced")})`;
  return why === undefined || state === "closed" ? word : `${word}: ${t(`why.${why}`)}`;
}
