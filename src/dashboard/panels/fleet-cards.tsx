import type { WorkerStatus } from "../../admin/operations.ts";
import { Badge, type Tone } from "../components/badge.tsx";
import { ApiText, Card, Nothing } from "../components/card.tsx";
import { Table } from "../components/table.tsx";
import { duration, instant, number } from "../i18n.ts";
import type { PanelProps } from "./panel.ts";
import { Prose } from "./prose.tsx";
import { fleetWord } from "./words-system.ts";

/** Who serves this flag, and whether they have the newest settings. */
export function InstancesCard({ view: { flag, status } }: PanelProps) {
  return (
    <Card id="instances" title={fleetWord("instances")} span={6}>
      {flag.instances === null ? (
        <Nothing>{fleetWord("unknown")}</Nothing>
      ) : (
        <Table
          caption={fleetWord("instances")}
          name="instances"
          rows={flag.instances}
          keyOf={({ instance }) => instance}
          columns={[
            {
              key: "instance",
              head: fleetWord("instance"),
              header: true,
              cell: ({ instance }) => (
                <>
                  {instance} {instance === status.instance ? <span class="cell-note">{fleetWord("here")}</span> : null}
                </>
              ),
            },
            {
              key: "state",
              head: fleetWord("state"),
              cell: ({ alive, revision }) => (
                <>
                  <Badge tone={alive ? "good" : "bad"}>{fleetWord(alive ? "alive" : "silent")}</Badge>{" "}
                  {alive && revision < flag.revision ? <Badge tone="warn">{fleetWord("behind")}</Badge> : null}
                </>
              ),
            },
            { key: "revision", head: fleetWord("revision"), number: true, cell: ({ revision }) => revision },
            { key: "heard", head: fleetWord("heard"), cell: ({ at }) => <time dateTime={at}>{instant(at)}</time> },
          ]}
        />
      )}
    </Card>
  );
}

/** The services behind, as this instance sees them. */
export function UpstreamsCard({ view: { status } }: PanelProps) {
  return (
    <Card id="upstreams" title={fleetWord("upstreams")} span={6}>
      <Table
        caption={fleetWord("upstreams")}
        name="upstreams"
        rows={status.upstreams}
        keyOf={({ name, endpoint }) => `${name} ${endpoint}`}
        columns={[
          { key: "upstream", head: fleetWord("upstream"), header: true, cell: ({ name }) => name },
          { key: "endpoint", head: fleetWord("endpoint"), cell: ({ endpoint }) => endpoint },
          {
            key: "health",
            head: fleetWord("health"),
            cell: ({ healthy, detail }) => (
              <>
                <Badge tone={healthTone(healthy)}>{fleetWord(healthWord(healthy))}</Badge>{" "}
                <span class="cell-note">
                  <ApiText>{detail}</ApiText>
                </span>
              </>
            ),
          },
        ]}
      />
    </Card>
  );
}

/** JSON leaves out what is not known. */
function healthTone(healthy: boolean | null | undefined): Tone {
  return healthy === true ? "good" : healthy === false ? "bad" : "idle";
}

function healthWord(healthy: boolean | null | undefined): "healthy" | "unhealthy" | "unchecked" {
  return healthy === true ? "healthy" : healthy === false ? "unhealthy" : "unchecked";
}

const WORKER_TONES: Readonly<Record<WorkerStatus["state"], Tone>> = { starting: "info", running: "good", draining: "warn", failed: "bad" };

export function WorkersCard({ view: { status } }: PanelProps) {
  return (
    <Card id="workers" title={fleetWord("workers")} span={6}>
      <Table
        caption={fleetWord("workers")}
        name="workers"
        rows={status.workers}
        keyOf={({ index }) => String(index)}
        columns={[
          { key: "worker", head: fleetWord("worker"), header: true, cell: ({ index }) => index },
          {
            key: "state",
            head: fleetWord("state"),
            cell: ({ state }) => <Badge tone={WORKER_TONES[state]}>{fleetWord(`workerStates.${state}`)}</Badge>,
          },
          { key: "restarts", head: fleetWord("restarts"), number: true, cell: ({ restarts }) => number(restarts) },
          { key: "lag", head: fleetWord("lag"), number: true, cell: ({ eventLoopLagMs }) => duration(eventLoopLagMs) },
          { key: "failure", head: fleetWord("lastFailure"), cell: ({ lastFailure }) => <Prose text={lastFailure ?? ""} /> },
        ]}
      />
    </Card>
  );
}

/** Only there when there are any. */
export function RejectionsCard({ view: { flag } }: PanelProps) {
  if (flag.rejections.length === 0) return null;
  return (
    <Card id="rejections" title={fleetWord("rejected")} span={6} aside={<Badge tone="warn">{number(flag.rejections.length)}</Badge>}>
      <p class="card-about">{fleetWord("rejectedAbout")}</p>
      <Table
        caption={fleetWord("rejected")}
        name="rejections"
        rows={flag.rejections}
        keyOf={({ field }) => field}
        columns={[
          { key: "field", head: fleetWord("field"), header: true, cell: ({ field }) => field },
          { key: "value", head: fleetWord("value"), cell: ({ value }) => <code>{value}</code> },
          { key: "message", head: fleetWord("message"), cell: ({ message }) => <Prose text={message} /> },
        ]}
      />
    </Card>
  );
}
