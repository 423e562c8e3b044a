import { useState } from "preact/hooks";
import { type Incident, type Language, type Maintenance, stateOf, type Wording } from "../../incidents/incident.ts";
import { Badge, type Tone } from "../components/badge.tsx";
import { Button } from "../components/button.tsx";
import { Card, Nothing } from "../components/card.tsx";
import { Dialog } from "../components/dialog.tsx";
import { Table } from "../components/table.tsx";
import { instant, language } from "../i18n.ts";
import { AnnounceForm, CancelForm, OpenForm, UpdateForm } from "./incident-forms.tsx";
import type { PanelProps } from "./panel.ts";
import { actWord } from "./words-acts.ts";
import { incidentWord } from "./words-told.ts";

export type Doing =
  | { readonly kind: "open" | "announce" }
  | { readonly kind: "update" | "resolve"; readonly incident: Incident }
  | { readonly kind: "cancel"; readonly maintenance: Maintenance };

const IMPACT_TONES: Readonly<Record<Incident["impact"], Tone>> = { none: "info", degraded: "warn", outage: "bad" };
/** How long what is resolved stays in sight here. */
const RECENT_MS = 86_400_000;

/** What customers are told, and what they are to be told. */
export function IncidentsCard({ view: { incidents, maintenance, at } }: PanelProps) {
  const [doing, act] = useState<Doing | undefined>(undefined);
  const shown = incidents.filter((incident) => stateOf(incident) !== "resolved" || at - (incident.updates.at(-1)?.at ?? 0) < RECENT_MS);
  const coming = maintenance.filter(({ cancelled, to }) => !cancelled && to > at);
  return (
    <Card id="incidents" title={incidentWord("title")} span={12}>
      <p class="card-about">{incidentWord("about")}</p>
      {shown.length === 0 ? <Nothing>{incidentWord("none")}</Nothing> : <Incidents incidents={shown} onAct={act} />}
      {coming.length === 0 ? <Nothing>{incidentWord("noMaintenance")}</Nothing> : <Announced maintenance={coming} onAct={act} />}
      <div class="act-buttons">
        <Button name="open-incident" onPress={() => act({ kind: "open" })}>
          {incidentWord("open")}
        </Button>
        <Button name="announce" onPress={() => act({ kind: "announce" })}>
          {incidentWord("announce")}
        </Button>
      </div>
      <IncidentDialog doing={doing} onClose={() => act(undefined)} />
    </Card>
  );
}

interface DialogProps {
  readonly doing: Doing | undefined;
  readonly onClose: () => void;
}

function IncidentDialog({ doing, onClose }: DialogProps) {
  return (
    <Dialog
      open={doing !== undefined}
      title={doing === undefined ? "" : titleOf(doing)}
      onClose={onClose}
      closeLabel={actWord("close")}
      name={doing === undefined ? "incident" : `incident-${doing.kind}`}
      wide
    >
      {doing === undefined ? null : <Form doing={doing} onClose={onClose} />}
    </Dialog>
  );
}

function Form({ doing, onClose }: { readonly doing: Doing; readonly onClose: () => void }) {
  switch (doing.kind) {
    case "open":
      return <OpenForm onClose={onClose} />;
    case "announce":
      return <AnnounceForm onClose={onClose} />;
    case "update":
    case "resolve":
      return <UpdateForm incident={doing.incident} resolves={doing.kind === "resolve"} onClose={onClose} />;
    case "cancel":
      return <CancelForm maintenance={doing.maintenance} onClose={onClose} />;
  }
}

function titleOf(doing: Doing): string {
  switch (doing.kind) {
    case "open":
      return incidentWord("open");
    case "announce":
      return incidentWord("announce");
    case "update":
      return incidentWord("updateThis", { title: worded(doing.incident.title) });
    case "resolve":
      return incidentWord("resolveThis", { title: worded(doing.incident.title) });
    case "cancel":
      return incidentWord("cancelThis", { title: worded(doing.maintenance.title) });
  }
}

/** In the language of the page, else in the other one. */
function worded(wording: Wording): string {
  return wording[language.value] ?? wording[other(language.value)] ?? "";
}

function other(one: Language): Language {
  return one === "en" ? "fr" : "en";
}

function Worded({ wording }: { readonly wording: Wording }) {
  const said = language.value;
  return <span lang={wording[said] === undefined ? other(said) : said}>{worded(wording)}</span>;
}

interface IncidentsProps {
  readonly incidents: readonly Incident[];
  readonly onAct: (doing: Doing) => void;
}

function Incidents({ incidents, onAct }: IncidentsProps) {
  return (
    <Table
      caption={incidentWord("incident")}
      name="incidents"
      rows={incidents}
      keyOf={({ id }) => id}
      columns={[
        { key: "priority", head: incidentWord("priority"), cell: ({ priority }) => priority },
        {
          key: "title",
          head: incidentWord("incident"),
          header: true,
          cell: ({ title, openedBy, openedAt }) => (
            <>
              <Worded wording={title} />
              <span class="cell-note">{incidentWord("openedBy", { who: openedBy, when: instant(openedAt) })}</span>
            </>
          ),
        },
        {
          key: "impact",
          head: incidentWord("impact"),
          cell: ({ impact }) => <Badge tone={IMPACT_TONES[impact]}>{incidentWord(`impacts.${impact}`)}</Badge>,
        },
        {
          key: "state",
          head: incidentWord("state"),
          cell: (incident) => (
            <>
              <Badge tone={stateOf(incident) === "resolved" ? "good" : "info"}>{incidentWord(`states.${stateOf(incident)}`)}</Badge>
              <span class="cell-note">
                <Worded wording={incident.updates.at(-1)?.text ?? {}} />
              </span>
            </>
          ),
        },
        {
          key: "acts",
          head: actWord("title"),
          cell: (incident) =>
            stateOf(incident) === "resolved" ? null : (
              <div class="row-acts">
                <Button
                  name="update-incident"
                  label={incidentWord("updateThis", { title: worded(incident.title) })}
                  onPress={() => onAct({ kind: "update", incident })}
                >
                  {incidentWord("update")}
                </Button>
                <Button
                  name="resolve-incident"
                  label={incidentWord("resolveThis", { title: worded(incident.title) })}
                  onPress={() => onAct({ kind: "resolve", incident })}
                >
                  {incidentWord("resolve")}
                </Button>
              </div>
            ),
        },
      ]}
    />
  );
}

interface AnnouncedProps {
  readonly maintenance: readonly Maintenance[];
  readonly onAct: (doing: Doing) => void;
}

function Announced({ maintenance, onAct }: AnnouncedProps) {
  return (
    <Table
      caption={incidentWord("maintenance")}
      name="maintenance"
      rows={maintenance}
      keyOf={({ id }) => id}
      columns={[
        {
          key: "title",
          head: incidentWord("maintenance"),
          header: true,
          cell: ({ title, text, announcedBy }) => (
            <>
              <Worded wording={title} />
              <span class="cell-note">
                <Worded wording={text} /> · {incidentWord("announcedBy", { who: announcedBy })}
              </span>
            </>
          ),
        },
        { key: "from", head: incidentWord("from"), cell: ({ from }) => instant(from) },
        { key: "to", head: incidentWord("to"), cell: ({ to }) => instant(to) },
        {
          key: "acts",
          head: actWord("title"),
          cell: (one) => (
            <Button
              name="cancel-maintenance"
              label={incidentWord("cancelThis", { title: worded(one.title) })}
              onPress={() => onAct({ kind: "cancel", maintenance: one })}
            >
              {incidentWord("cancelMaintenance")}
            </Button>
          ),
        },
      ]}
    />
  );
}
