import { useId, useState } from "preact/hooks";
import type { ActReceipt } from "../../controller/desk.ts";
import { ask } from "../api.ts";
import { Field } from "../components/field.tsx";
import { ActForm } from "./act-form.tsx";
import { closeAct } from "./act-state.ts";
import type { PanelProps } from "./panel.ts";
import { ReceiptText } from "./receipt.tsx";
import { actWord } from "./words-acts.ts";

/** Begins a plan that is pasted or read from a file; what the linter says against it is shown, and can be overruled. */
export function StartForm({ view: { flag } }: PanelProps) {
  const [plan, setPlan] = useState("");
  const [force, setForce] = useState(false);
  const id = useId();
  return (
    <ActForm
      hasOwnFocus
      about={actWord("abouts.start")}
      confirm={actWord("names.start")}
      act={(reason) =>
        plan.trim() === ""
          ? actWord("planNeeded")
          : ask<ActReceipt>(`/api/rollout/${encodeURIComponent(flag.flag)}/start`, {
              method: "POST",
              body: { plan, reason, force, wait: "2s" },
            })
      }
      receipt={(receipt) => <ReceiptText receipt={receipt} />}
      onClose={closeAct}
    >
      <Field label={actWord("planText")} name="plan" kind="area" rows={12} value={plan} onInput={setPlan} required autofocus />
      <div class="field">
        <label for={`${id}-file`}>{actWord("planFile")}</label>
        <input
          id={`${id}-file`}
          name="file"
          type="file"
          accept=".yaml,.yml,text/yaml"
          onChange={({ currentTarget }) => {
            void currentTarget.files?.[0]?.text().then(setPlan);
          }}
        />
      </div>
      <div class="check-field">
        <input
          id={`${id}-force`}
          name="force"
          type="checkbox"
          checked={force}
          onChange={({ currentTarget }) => setForce(currentTarget.checked)}
        />
        <label for={`${id}-force`}>{actWord("force")}</label>
      </div>
    </ActForm>
  );
}
