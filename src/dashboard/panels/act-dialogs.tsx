import type { ComponentType } from "preact";
import { useState } from "preact/hooks";
import type { Receipt } from "../../admin/operations.ts";
import type { ActReceipt } from "../../controller/desk.ts";
import { approvalsMissing } from "../../controller/obstacles.ts";
import { ask, type Answer } from "../api.ts";
import { Dialog } from "../components/dialog.tsx";
import { Choice } from "../components/field.tsx";
import { percent } from "../i18n.ts";
import { ActForm } from "./act-form.tsx";
import { closeAct, opened } from "./act-state.ts";
import { DrillForm } from "./drill-form.tsx";
import type { PanelProps } from "./panel.ts";
import type { ActName } from "./possible.ts";
import { ReceiptText } from "./receipt.tsx";
import { SettingsForm } from "./settings-form.tsx";
import { StartForm } from "./start-form.tsx";
import { actWord } from "./words-acts.ts";

/** As long as the command line waits for every instance to confirm. */
const WAIT = "2s";

function post(flag: string, act: string, body: object): Promise<Answer<ActReceipt>> {
  return ask<ActReceipt>(`/api/rollout/${encodeURIComponent(flag)}/${act}`, { method: "POST", body: { wait: WAIT, ...body } });
}

function kill(flag: string, killed: boolean, reason: string): Promise<Answer<Receipt>> {
  return ask<Receipt>(`/api/flags/${encodeURIComponent(flag)}/kill`, { method: "POST", body: { killed, reason, wait: WAIT } });
}

function RollBackForm({ view: { flag } }: PanelProps) {
  return (
    <ActForm
      about={actWord("abouts.rollback")}
      confirm={actWord("rollbackNow")}
      danger
      reason={actWord("rollbackReason")}
      asks="optional"
      act={(reason) => post(flag.flag, "rollback", { reason })}
      receipt={(receipt) => <ReceiptText receipt={receipt} />}
      onClose={closeAct}
    />
  );
}

function KillForm({ view: { flag } }: PanelProps) {
  return (
    <ActForm
      about={actWord("abouts.kill")}
      confirm={actWord("killNow")}
      danger
      reason={actWord("killReason")}
      asks="optional"
      act={(reason) => kill(flag.flag, true, reason)}
      receipt={(receipt) => <ReceiptText receipt={receipt} />}
      onClose={closeAct}
    />
  );
}

function UnkillForm({ view: { flag } }: PanelProps) {
  return (
    <ActForm
      about={actWord("abouts.unkill")}
      confirm={actWord("names.unkill")}
      act={(reason) => kill(flag.flag, false, reason)}
      receipt={(receipt) => <ReceiptText receipt={receipt} />}
      onClose={closeAct}
    />
  );
}

function PauseForm({ view: { flag } }: PanelProps) {
  return <PlainForm flag={flag.flag} act="pause" />;
}

function AdvanceForm({ view: { flag } }: PanelProps) {
  return <PlainForm flag={flag.flag} act="advance" />;
}

function PlainForm({ flag, act }: { readonly flag: string; readonly act: "pause" | "advance" }) {
  return (
    <ActForm
      about={actWord(`abouts.${act}`)}
      confirm={actWord(`names.${act}`)}
      act={(reason) => post(flag, act, { reason })}
      receipt={(receipt) => <ReceiptText receipt={receipt} />}
      onClose={closeAct}
    />
  );
}

function ApproveForm({ view: { flag, rollout } }: PanelProps) {
  const found = rollout?.rollout;
  const step = found !== undefined && found !== null && "step" in found.state ? found.plan.steps[found.state.step] : undefined;
  const [roles] = useState(approvalsMissing({ approvals: step?.approvals ?? [] }, found?.approvals ?? []));
  const [role, setRole] = useState(roles[0] ?? "");
  return (
    <ActForm
      about={actWord("abouts.approve")}
      confirm={actWord("names.approve")}
      asks="optional"
      act={(reason) => post(flag.flag, "approve", { reason, ...(role === "" ? {} : { role }) })}
      receipt={(receipt) => <ReceiptText receipt={receipt} />}
      onClose={closeAct}
    >
      <Choice
        label={actWord("role")}
        name="role"
        value={role}
        options={roles.map((value) => ({ value, text: value }))}
        onChoose={setRole}
      />
    </ActForm>
  );
}

function ResumeForm({ view: { flag, rollout } }: PanelProps) {
  const found = rollout?.rollout;
  const [step, setStep] = useState("");
  const state = found?.state;
  const steps =
    found !== undefined && found !== null && state?.status === "rolled-back"
      ? found.plan.steps.slice(0, Math.max(0, state.rollback.step) + 1)
      : [];
  return (
    <ActForm
      about={actWord("abouts.resume")}
      confirm={actWord("names.resume")}
      act={(reason) => post(flag.flag, "resume", { reason, ...(step === "" ? {} : { step }) })}
      receipt={(receipt) => <ReceiptText receipt={receipt} />}
      onClose={closeAct}
    >
      {steps.length === 0 ? undefined : (
        <Choice
          label={actWord("resumeStep")}
          name="step"
          value={step}
          options={[
            { value: "", text: actWord("resumeSame") },
            ...steps.map(({ name, percentageBp }) => ({ value: name, text: `${name} (${percent(percentageBp / 100)})` })),
          ]}
          onChoose={setStep}
        />
      )}
    </ActForm>
  );
}

const FORMS: Readonly<Record<ActName, ComponentType<PanelProps>>> = {
  rollback: RollBackForm,
  kill: KillForm,
  unkill: UnkillForm,
  approve: ApproveForm,
  pause: PauseForm,
  resume: ResumeForm,
  advance: AdvanceForm,
  start: StartForm,
  settings: SettingsForm,
  drill: DrillForm,
};

/** The dialog of whichever act was chosen. */
export function ActDialog({ view }: PanelProps) {
  const act = opened.value;
  const Form = act === undefined ? undefined : FORMS[act];
  return (
    <Dialog
      open={act !== undefined}
      title={act === undefined ? "" : actWord("titled", { act: actWord(`names.${act}`), flag: view.flag.flag })}
      onClose={closeAct}
      closeLabel={actWord("close")}
      danger={act === "rollback" || act === "kill"}
      wide={act === "start" || act === "drill"}
      {...(act === undefined ? {} : { name: act })}
    >
      {Form === undefined ? null : <Form view={view} />}
    </Dialog>
  );
}
