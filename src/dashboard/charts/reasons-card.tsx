import { FALLBACK_REASONS } from "../../core/words.ts";
import { Card, Nothing } from "../components/card.tsx";
import { Meter } from "../components/figure.tsx";
import { number, share } from "../i18n.ts";
import type { PanelProps } from "../panels/panels.tsx";
import { t } from "../words.ts";

/** Why this instance sent users to the other arm. */
export function ReasonsCard({ view }: PanelProps) {
  const total = FALLBACK_REASONS.reduce((sum, reason) => sum + (view.fallbacks[reason] ?? 0), 0);
  return (
    <Card id="reasons" title={t("reasons.title")} span={6} aside={<span class="note">{t("reasons.scope")}</span>}>
      <table data-table="reasons" class="bars">
        <caption class="unseen">{t("reasons.title")}</caption>
        <thead class="unseen">
          <tr>
            <th scope="col">{t("reasons.reason")}</th>
            <th scope="col">{t("reasons.count")}</th>
          </tr>
        </thead>
        <tbody>
          {FALLBACK_REASONS.map((reason) => {
            const count = view.fallbacks[reason] ?? 0;
            return (
              <tr key={reason} data-row={reason} class={count === 0 ? "quiet" : undefined}>
                <th scope="row">{t(`reason.${reason}`)}</th>
                <td class="bar">
                  <Meter
                    label={t(`reason.${reason}`)}
                    value={total === 0 ? 0 : count / total}
                    text={share(count / total)}
                    tone="candidate"
                  />
                </td>
                <td class="number">{number(count)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {total === 0 ? <Nothing>{t("reasons.none")}</Nothing> : null}
    </Card>
  );
}
