import type { AuditEntry } from "../../store/store.ts";
import { Badge } from "../components/badge.tsx";
import { Card, Nothing } from "../components/card.tsx";
import { Table } from "../components/table.tsx";
import { instant } from "../i18n.ts";
import type { PanelProps } from "./panel.ts";
import { Prose } from "./prose.tsx";
import { auditWord } from "./words-system.ts";

/** Who changed what, and why; the newest first. */
export function AuditCard({ view: { audit } }: PanelProps) {
  return (
    <Card id="audit" title={auditWord("title")} span={12}>
      {audit === undefined || audit.length === 0 ? (
        <Nothing>{auditWord(audit === undefined ? "away" : "none")}</Nothing>
      ) : (
        <Table
          caption={auditWord("title")}
          name="audit"
          rows={audit}
          keyOf={({ id }) => id}
          columns={[
            { key: "when", head: auditWord("when"), cell: ({ at }) => <time dateTime={at}>{instant(at)}</time> },
            { key: "who", head: auditWord("who"), header: true, cell: ({ who }) => who },
            { key: "what", head: auditWord("what"), cell: (entry) => <Changes entry={entry} /> },
            { key: "why", head: auditWord("why"), cell: ({ reason }) => <Prose text={reason} /> },
          ]}
        />
      )}
    </Card>
  );
}

function Changes({ entry: { status, changes } }: { readonly entry: AuditEntry }) {
  return (
    <>
      {status === "accepted" ? null : <Badge tone={status === "refused" ? "bad" : "warn"}>{auditWord(`status.${status}`)}</Badge>}
      {changes.length === 0 ? <span class="cell-note">{auditWord("noChange")}</span> : null}
      <ul class="changes">
        {changes.map(({ field, from, to }) => (
          <li key={field}>{auditWord("change", { field, from: shown(from), to: shown(to) })}</li>
        ))}
      </ul>
    </>
  );
}

function shown(value: string | null): string {
  if (value === null) return auditWord("unset");
  return value === "" ? "“”" : value;
}
