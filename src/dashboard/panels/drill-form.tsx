import { useState } from "preact/hooks";
import type { DrillReport } from "../../controller/drill-report.ts";
import { type Answer, ask } from "../api.ts";
import { Choice } from "../components/field.tsx";
import { ActForm } from "./act-form.tsx";
import { closeAct, drill } from "./act-state.ts";
import { DrillText } from "./drill-text.tsx";
import type { PanelProps } from "./panel.ts";
import { actWord } from "./words-acts.ts";

/** Rehearses a rollback. The dialog may be closed meanwhile: what it comes to is shown with the state of the rollout as well. */
export function DrillForm({ view: { flag } }: PanelProps) {
  const [kind, setKind] = useState<"shadow" | "live">("shadow");
  return (
    <ActForm
      about={actWord("abouts.drill")}
      confirm={actWord("names.drill")}
      danger={kind === "live"}
      {...(kind === "shadow" ? { asks: "optional" as const } : {})}
      act={(reason) => rehearse(flag.flag, kind === "live", reason)}
      receipt={(report) => <DrillText report={report} />}
      onClose={closeAct}
    >
      <Choice
        label={actWord("drillKind")}
        name="kind"
        value={kind}
        options={[
          { value: "shadow", text: actWord("drillShadow") },
          { value: "live", text: actWord("drillLive") },
        ]}
        onChoose={setKind}
      />
    </ActForm>
  );
}

async function rehearse(flag: string, live: boolean, reason: string): Promise<Answer<DrillReport>> {
  drill.value = { flag, state: "running", since: Date.now() };
  const answer = await ask<DrillReport>(`/api/rollout/${encodeURIComponent(flag)}/drill`, { method: "POST", body: { live, reason } });
  drill.value = answer.ok ? { flag, state: "done", report: answer.data } : { flag, state: "refused", refusal: answer.refusal };
  return answer;
}
