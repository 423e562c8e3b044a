import { useState } from "preact/hooks";
import type { FlagView } from "../../admin/flag-view.ts";
import type { Receipt } from "../../admin/operations.ts";
import { ask, type Refusal } from "../api.ts";
import { Field } from "../components/field.tsx";
import { ActForm } from "./act-form.tsx";
import { closeAct } from "./act-state.ts";
import type { PanelProps } from "./panel.ts";
import { ReceiptText } from "./receipt.tsx";
import { actWord } from "./words-acts.ts";

const SHARE = "rollout_percentage";
const SEGMENT = "segment.";

/** The shares of a flag by hand, over the revision that was seen: whoever was quicker is not overwritten without a word. */
export function SettingsForm({ view }: PanelProps) {
  const [base, setBase] = useState<Pick<FlagView, "revision" | "settings">>(view.flag);
  const [typed, setTyped] = useState<Readonly<Record<string, string>>>({});
  const [refusal, setRefusal] = useState<Refusal | undefined>(undefined);
  const { flag } = view.flag;
  const names = [SHARE, ...Object.keys(base.settings).filter((name) => name.startsWith(SEGMENT))];
  const changed = Object.fromEntries(
    names.flatMap((name) => {
      const value = typed[name]?.trim().replace(",", ".");
      return value === undefined || value === base.settings[name] ? [] : [[name, value]];
    }),
  );
  return (
    <ActForm
      hasOwnFocus
      about={`${actWord("abouts.settings")} ${actWord("revision", { revision: String(base.revision) })}`}
      confirm={actWord("names.settings")}
      placed={names}
      act={(reason) => {
        setRefusal(undefined);
        if (Object.keys(changed).length === 0) return actWord("nothingChanged");
        return ask<Receipt>(`/api/flags/${encodeURIComponent(flag)}`, {
          method: "PATCH",
          body: { fields: changed, reason, wait: "2s" },
          ifRevision: base.revision,
        });
      }}
      onRefused={(refused) => {
        setRefusal(refused);
        if (refused.code !== "revision-conflict") return;
        // What was typed stays; what is in force now is what it is compared with, and a second press writes over that.
        void ask<FlagView>(`/api/flags/${encodeURIComponent(flag)}`).then((answer) => {
          if (answer.ok) setBase(answer.data);
        });
      }}
      receipt={(receipt) => <ReceiptText receipt={receipt} />}
      onClose={closeAct}
    >
      {names.map((name, index) => (
        <Field
          key={name}
          label={name === SHARE ? actWord("percentage") : actWord("segment", { name: name.slice(SEGMENT.length) })}
          name={name}
          value={typed[name] ?? base.settings[name] ?? ""}
          onInput={(value) => setTyped({ ...typed, [name]: value })}
          autofocus={index === 0}
          error={refusal?.errors.find(({ field }) => field === name)?.message}
        />
      ))}
    </ActForm>
  );
}
