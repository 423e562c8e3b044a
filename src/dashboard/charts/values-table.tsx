import { useState } from "preact/hooks";
import { t } from "../words.ts";

interface ValuesTableProps {
  readonly title: string;
  readonly rows: readonly { readonly label: string; readonly stable: string; readonly candidate: string }[];
  /** For tests. */
  readonly name: string;
}

/** What a chart shows at present, for those who read rather than look. Made only while it is open. */
export function ValuesTable({ title, rows, name }: ValuesTableProps) {
  const [isOpen, open] = useState(false);
  return (
    <details class="values" onToggle={({ currentTarget }) => open(currentTarget.open)}>
      <summary>
        {t("table")}
        <span class="unseen">: {title}</span>
      </summary>
      {isOpen ? (
        <table data-table={name}>
          <caption class="unseen">{t("table.now", { title })}</caption>
          <thead>
            <tr>
              <th scope="col">{t("table.figure")}</th>
              <th scope="col" class="number">
                {t("stable")}
              </th>
              <th scope="col" class="number">
                {t("candidate")}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ label, stable, candidate }) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                <td class="number">{stable}</td>
                <td class="number">{candidate}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
    </details>
  );
}
