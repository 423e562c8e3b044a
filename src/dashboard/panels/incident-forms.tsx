import { useState } from "preact/hooks";
import {
  type Impact,
  IMPACTS,
  type Incident,
  INCIDENT_STATES,
  type IncidentState,
  type Maintenance,
  PRIORITIES,
  type Priority,
  stateOf,
  type Wording,
} from "../../incidents/incident.ts";
import { type Answer, ask } from "../api.ts";
import { Badge } from "../components/badge.tsx";
import { Choice, Field } from "../components/field.tsx";
import { ActForm } from "./act-form.tsx";
import { actWord } from "./words-acts.ts";
import { incidentWord } from "./words-told.ts";

/** What customers are to be told: in either language, or in both. */

interface FormProps {
  readonly onClose: () => void;
}

export function OpenForm({ onClose }: FormProps) {
  const [title, setTitle] = useState<Wording>({});
  const [text, setText] = useState<Wording>({});
  const [priority, setPriority] = useState<Priority>("P1");
  const [impact, setImpact] = useState<Impact>("degraded");
  return (
    <ActForm
      about={incidentWord("oneLanguage")}
      confirm={incidentWord("open")}
      asks="none"
      hasOwnFocus
      act={() => (isEmpty(title) || isEmpty(text) ? incidentWord("textNeeded") : post("/api/incidents", { title, text, priority, impact }))}
      receipt={Done}
      onClose={onClose}
    >
      <WordingFields of="title" value={title} onInput={setTitle} autofocus />
      <WordingFields of="text" value={text} onInput={setText} />
      <Choice
        label={incidentWord("priority")}
        name="priority"
        value={priority}
        options={PRIORITIES.map((value) => ({ value, text: value }))}
        onChoose={setPriority}
      />
      <ImpactChoice value={impact} onChoose={setImpact} />
    </ActForm>
  );
}

interface UpdateProps extends FormProps {
  readonly incident: Incident;
  readonly resolves: boolean;
}

export function UpdateForm({ incident, resolves, onClose }: UpdateProps) {
  const [text, setText] = useState<Wording>({});
  const [state, setState] = useState<IncidentState>(resolves ? "resolved" : stateOf(incident));
  const [impact, setImpact] = useState<Impact>(incident.impact);
  return (
    <ActForm
      about={incidentWord("oneLanguage")}
      confirm={incidentWord(resolves ? "resolve" : "update")}
      asks="none"
      hasOwnFocus
      act={() =>
        isEmpty(text)
          ? incidentWord("textNeeded")
          : post(`/api/incidents/${encodeURIComponent(incident.id)}/updates`, { state, text, impact })
      }
      receipt={Done}
      onClose={onClose}
    >
      <WordingFields of="text" value={text} onInput={setText} autofocus />
      <Choice
        label={incidentWord("state")}
        name="state"
        value={state}
        options={INCIDENT_STATES.map((value) => ({ value, text: incidentWord(`states.${value}`) }))}
        onChoose={setState}
      />
      <ImpactChoice value={impact} onChoose={setImpact} />
    </ActForm>
  );
}

export function AnnounceForm({ onClose }: FormProps) {
  const [title, setTitle] = useState<Wording>({});
  const [text, setText] = useState<Wording>({});
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  return (
    <ActForm
      about={incidentWord("oneLanguage")}
      confirm={incidentWord("announce")}
      asks="none"
      hasOwnFocus
      act={() => {
        if (isEmpty(title) || isEmpty(text)) return incidentWord("textNeeded");
        // A local time without a zone, as the browser's own input gives it, is one of this browser's zone.
        const [begins, ends] = [new Date(from), new Date(to)];
        if (!(ends.getTime() > begins.getTime())) return incidentWord("timesWrong");
        return post("/api/maintenance", { title, text, from: begins.toISOString(), to: ends.toISOString() });
      }}
      receipt={Done}
      onClose={onClose}
    >
      <WordingFields of="title" value={title} onInput={setTitle} autofocus />
      <WordingFields of="text" value={text} onInput={setText} />
      <Field label={incidentWord("from")} name="from" kind="datetime-local" value={from} onInput={setFrom} required />
      <Field label={incidentWord("to")} name="to" kind="datetime-local" value={to} onInput={setTo} required />
    </ActForm>
  );
}

interface CancelProps extends FormProps {
  readonly maintenance: Maintenance;
}

export function CancelForm({ maintenance, onClose }: CancelProps) {
  return (
    <ActForm
      about={incidentWord("about")}
      confirm={incidentWord("cancelMaintenance")}
      asks="none"
      hasOwnFocus
      act={() => post(`/api/maintenance/${encodeURIComponent(maintenance.id)}/cancel`, {})}
      receipt={Done}
      onClose={onClose}
    />
  );
}

interface ImpactProps {
  readonly value: Impact;
  readonly onChoose: (impact: Impact) => void;
}

function ImpactChoice({ value, onChoose }: ImpactProps) {
  return (
    <Choice
      label={incidentWord("impact")}
      name="impact"
      value={value}
      options={IMPACTS.map((known) => ({ value: known, text: incidentWord(`impacts.${known}`) }))}
      onChoose={onChoose}
    />
  );
}

function post(path: string, body: object): Promise<Answer<unknown>> {
  return ask<unknown>(path, { method: "POST", body });
}

function Done() {
  return <Badge tone="good">{actWord("done")}</Badge>;
}

interface WordingProps {
  readonly of: "title" | "text";
  readonly value: Wording;
  readonly onInput: (value: Wording) => void;
  readonly autofocus?: boolean;
}

function WordingFields({ of, value, onInput, autofocus = false }: WordingProps) {
  const kind = of === "title" ? "text" : "area";
  return (
    <div class="two-languages">
      <Field
        label={incidentWord(of === "title" ? "titleEn" : "textEn")}
        name={`${of}-en`}
        kind={kind}
        rows={3}
        value={value.en ?? ""}
        onInput={(text) => onInput(said({ ...value, en: text }))}
        autofocus={autofocus}
      />
      <Field
        label={incidentWord(of === "title" ? "titleFr" : "textFr")}
        name={`${of}-fr`}
        kind={kind}
        rows={3}
        value={value.fr ?? ""}
        onInput={(text) => onInput(said({ ...value, fr: text }))}
      />
    </div>
  );
}

/** A language in which nothing is said is left out, so that the other one is shown. */
function said({ en, fr }: Wording): Wording {
  return { ...(en ? { en } : {}), ...(fr ? { fr } : {}) };
}

function isEmpty({ en = "", fr = "" }: Wording): boolean {
  return en.trim() === "" && fr.trim() === "";
}
