import { useState } from "preact/hooks";
import type { ChannelView, Notice } from "../../notify/notice.ts";
import { PROMISES, type SlaPromise } from "../../sla/sla.ts";
import { ask } from "../api.ts";
import { Badge, type Tone } from "../components/badge.tsx";
import { Button } from "../components/button.tsx";
import { ApiText, Card, Nothing } from "../components/card.tsx";
import { Dialog } from "../components/dialog.tsx";
import { Table } from "../components/table.tsx";
import { instant, number } from "../i18n.ts";
import { ActForm } from "./act-form.tsx";
import type { PanelProps } from "./panel.ts";
import { actWord } from "./words-acts.ts";
import { noticeWord, slaWord } from "./words-told.ts";

const TONES: Readonly<Record<Notice["severity"], Tone>> = { P0: "bad", P1: "bad", P2: "warn", P3: "warn", info: "info" };

/** Troubles that are open, who is told of them, and how that goes. */
export function NoticesCard({ view: { notices } }: PanelProps) {
  const [chosen, choose] = useState<Notice | undefined>(undefined);
  const open = (notices?.notices ?? []).filter(({ resolvedAt }) => resolvedAt === undefined || resolvedAt === null);
  return (
    <Card
      id="notices"
      title={noticeWord("title")}
      span={12}
      aside={
        open.length === 0 ? undefined : (
          <Badge tone={open.some(({ severity }) => TONES[severity] === "bad") ? "bad" : "warn"}>{number(open.length)}</Badge>
        )
      }
    >
      {notices === undefined || notices === null ? (
        <Nothing>{noticeWord("away")}</Nothing>
      ) : (
        <>
          <p class="card-about">
            {notices.sender === undefined || notices.sender === null ? noticeWord("nobody") : noticeWord("sender", { who: notices.sender })}
          </p>
          {open.length === 0 ? <Nothing>{noticeWord("none")}</Nothing> : <OpenNotices open={open} onChoose={choose} />}
          {notices.channels.length === 0 ? null : <Channels channels={notices.channels} />}
        </>
      )}
      <Dialog
        open={chosen !== undefined}
        title={chosen === undefined ? "" : noticeWord("acknowledgeThis", { what: noticeWord(`kinds.${chosen.kind}`) })}
        onClose={() => choose(undefined)}
        closeLabel={actWord("close")}
        name="acknowledge"
      >
        {chosen === undefined ? null : (
          <ActForm
            about={factsOf(chosen)}
            confirm={noticeWord("acknowledge")}
            asks="optional"
            act={(reason) => ask<Notice>(`/api/notices/${encodeURIComponent(chosen.id)}/ack`, { method: "POST", body: { reason } })}
            receipt={() => <Badge tone="good">{actWord("done")}</Badge>}
            onClose={() => choose(undefined)}
          />
        )}
      </Dialog>
    </Card>
  );
}

interface OpenProps {
  readonly open: readonly Notice[];
  readonly onChoose: (notice: Notice) => void;
}

function OpenNotices({ open, onChoose }: OpenProps) {
  return (
    <Table
      caption={noticeWord("title")}
      name="notices"
      rows={open}
      keyOf={({ id }) => id}
      columns={[
        { key: "severity", head: noticeWord("severity"), cell: ({ severity }) => <Badge tone={TONES[severity]}>{severity}</Badge> },
        {
          key: "what",
          head: noticeWord("what"),
          header: true,
          cell: (notice) => (
            <>
              {noticeWord(`kinds.${notice.kind}`)}{" "}
              {notice.count > 1 ? <span class="cell-note">{noticeWord("count", { count: notice.count })}</span> : null}
              <span class="cell-note">
                <ApiText>{factsOf(notice)}</ApiText>
              </span>
            </>
          ),
        },
        { key: "since", head: noticeWord("since"), cell: ({ openedAt }) => instant(openedAt) },
        { key: "state", head: noticeWord("state"), cell: (notice) => <NoticeState notice={notice} onChoose={onChoose} /> },
      ]}
    />
  );
}

function NoticeState({ notice, onChoose }: { readonly notice: Notice; readonly onChoose: (notice: Notice) => void }) {
  const { acknowledged, levels, severity, kind } = notice;
  return (
    <>
      {acknowledged === undefined || acknowledged === null ? null : (
        <Badge tone="good">{noticeWord("acknowledged", { who: acknowledged.by, when: instant(acknowledged.at) })}</Badge>
      )}
      {(acknowledged === undefined || acknowledged === null) && severity !== "info" ? (
        <Button
          name="acknowledge"
          label={noticeWord("acknowledgeThis", { what: noticeWord(`kinds.${kind}`) })}
          onPress={() => onChoose(notice)}
        >
          {noticeWord("acknowledge")}
        </Button>
      ) : null}
      {Object.entries(levels).map(([name, level]) => (
        <span key={name} class="cell-note">
          {noticeWord("levels", { name, level })}
        </span>
      ))}
    </>
  );
}

/** The facts that say most, in one line. */
function factsOf({ facts, flag }: Notice): string {
  const promise = PROMISES.find((known) => known === facts["promise"]);
  if (promise !== undefined) return promiseText(facts, promise);
  const told = ["title", "trigger", "step", "reason", "who", "value", "target"].flatMap((name) => (facts[name] ? [facts[name]] : []));
  return [...(flag === undefined || flag === null ? [] : [flag]), ...told].join(" · ");
}

/** Which promise, for whom, and how far from it. */
function promiseText({ version, segment, value, target, direction }: Notice["facts"], promise: SlaPromise): string {
  const whom = [version, segment].filter((name) => name !== undefined && name !== "all");
  const bound = `${direction === "at-most" ? "≤" : "≥"}\u00a0${target ?? "–"}`;
  return [[slaWord(`promises.${promise}`), ...whom].join(", "), `${value ?? "–"} (${slaWord("target").toLowerCase()} ${bound})`].join(
    " · ",
  );
}

function Channels({ channels }: { readonly channels: readonly ChannelView[] }) {
  return (
    <>
      <h4>{noticeWord("channels")}</h4>
      <Table
        caption={noticeWord("channels")}
        name="channels"
        rows={channels}
        keyOf={({ name }) => name}
        columns={[
          { key: "channel", head: noticeWord("channel"), header: true, cell: ({ name, kind }) => `${name} (${kind})` },
          {
            key: "state",
            head: noticeWord("state"),
            cell: ({ failingSince, lastError }) =>
              typeof failingSince === "number" ? (
                <>
                  <Badge tone="bad">{noticeWord("failing", { when: instant(failingSince) })}</Badge>
                  <span class="cell-note">
                    <ApiText>{lastError}</ApiText>
                  </span>
                </>
              ) : (
                <Badge tone="good">{noticeWord("working")}</Badge>
              ),
          },
          { key: "waiting", head: noticeWord("waiting"), number: true, cell: ({ waiting }) => number(waiting) },
          {
            key: "sent",
            head: noticeWord("sentAt"),
            cell: ({ sentAt }) => (typeof sentAt === "number" ? instant(sentAt) : noticeWord("never")),
          },
        ]}
      />
    </>
  );
}
