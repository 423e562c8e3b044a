import type { Command } from "commander";
import type { Notice, NoticesView } from "../notify/notice.ts";
import type { TestResult } from "../notify/operations.ts";
import { type ClientOptions, addClientOptions, chooseTarget } from "./client-options.ts";
import { ask } from "./client.ts";
import { Failed, FailedAsPrinted } from "./failed.ts";
import { bad, bold, good, print, span, table } from "./output.ts";

interface NoticeCommandOptions extends ClientOptions {
  readonly reason?: string;
  readonly all?: boolean;
}

/** A channel may take a minute to answer. */
const TEST_WAIT_MS = 70_000;

export function addNotices(program: Command): void {
  const notices = program.command("notices").description("what people were told, over which channels, and who looks after it");
  addList(notices);
  addAck(notices);
  addTest(notices);
}

function addList(notices: Command): void {
  const command = notices
    .command("list")
    .description("notices that are open, the channels, and what could not be sent")
    .option("--all", "those that are over, too");
  addClientOptions(command).addHelpText("after", "\nExample:\n  crossfade notices list --all");
  command.action(async (options: NoticeCommandOptions) => {
    const answer = await ask(await chooseTarget(options), "/api/notices");
    if (options.json) print(answer.text);
    else print(...describe(parseNotices(answer.value), options.all === true, Date.now()));
  });
}

function addAck(notices: Command): void {
  const command = notices
    .command("ack")
    .description("say that you look after it: reminders stop, and nobody else is called")
    .argument("<id>", "of the notice, such as ntc-12")
    .option("--reason <text>", "what you do about it");
  addClientOptions(command).addHelpText("after", '\nExample:\n  crossfade notices ack ntc-12 --reason "rolling back by hand"');
  command.action(async (id: string, options: NoticeCommandOptions) => {
    const path = `/api/notices/${encodeURIComponent(id)}/ack`;
    const answer = await ask(await chooseTarget(options), path, { method: "POST", body: { reason: options.reason ?? "" }, waitMs: 0 });
    const { acknowledged } = parseNotice(answer.value);
    print(options.json ? answer.text : good(`${id}: acknowledged${acknowledged === undefined ? "" : ` by ${acknowledged.by}`}`));
  });
}

function addTest(notices: Command): void {
  const command = notices
    .command("test")
    .description("send a message to one channel, and say what became of it")
    .argument("<channel>", "name under notifications.channels");
  addClientOptions(command).addHelpText("after", "\nExample:\n  crossfade notices test ops-slack\n\nExit code 1 when it was not taken.");
  command.action(async (channel: string, options: NoticeCommandOptions) => {
    const answer = await ask(await chooseTarget(options), "/api/notices/test", { method: "POST", body: { channel }, waitMs: TEST_WAIT_MS });
    const { ok, detail, ms } = parseTest(answer.value);
    if (options.json) print(answer.text);
    else if (ok) print(good(`${channel}: taken after ${ms} ms`), ...(detail === "" ? [] : [`  ${detail}`]));
    else print(bad(`${channel}: not taken: ${detail}`));
    if (!ok) throw new FailedAsPrinted(detail);
  });
}

function describe({ sender, notices, channels, deliveries }: NoticesView, all: boolean, now: number): string[] {
  const shown = notices.filter(({ resolvedAt, severity }) => all || (resolvedAt === undefined && severity !== "info"));
  const rows = shown.map((notice) => [
    notice.id,
    notice.severity,
    notice.kind,
    notice.flag ?? "",
    `${span((now - notice.openedAt) / 1_000)} ago`,
    String(notice.count),
    stateOf(notice),
  ]);
  const stuck = deliveries.filter(({ status, tries }) => status === "failed" || (status === "waiting" && tries > 0));
  return [
    bold(shown.length === 0 ? (all ? "No notices" : "No open notices") : `${shown.length} ${shown.length === 1 ? "notice" : "notices"}`),
    ...(rows.length === 0 ? [] : table([["ID", "SEVERITY", "KIND", "FLAG", "OPENED", "TIMES", "STATE"], ...rows])),
    "",
    bold(`Channels${sender === undefined ? "; nobody sends at present" : `; sent by ${sender}`}`),
    ...(channels.length === 0
      ? ["  none: nothing is sent (notifications.channels)"]
      : table([["NAME", "KIND", "WAITING", "STATE"], ...channels.map((channel) => channelRow(channel, now))])),
    ...(stuck.length === 0
      ? []
      : [
          "",
          bold("Not sent"),
          ...table([
            ["NOTICE", "CHANNEL", "PART", "TRIES", "WHY"],
            ...stuck.map((one) => [
              one.notice,
              one.channel,
              one.part,
              `${one.tries}${one.status === "failed" ? ", given up" : ""}`,
              one.detail,
            ]),
          ]),
        ]),
  ];
}

function channelRow({ name, kind, waiting, failingSince, lastError, sentAt }: NoticesView["channels"][number], now: number): string[] {
  const state =
    typeof failingSince === "number"
      ? `failing for ${span((now - failingSince) / 1_000)}: ${lastError}`
      : typeof sentAt === "number"
        ? `last sent ${span((now - sentAt) / 1_000)} ago`
        : "nothing sent yet";
  return [name, kind, String(waiting), state];
}

function stateOf({ acknowledged, resolvedAt, severity }: Notice): string {
  if (typeof resolvedAt === "number") return "over";
  if (severity === "info") return "told";
  return acknowledged ? `acknowledged by ${acknowledged.by}` : "open";
}

// As in answers.ts: an answer of the same version is known by a few of its members.

function parseNotices(value: unknown): NoticesView {
  if (isRecord(value) && Array.isArray(value["notices"]) && Array.isArray(value["channels"]) && Array.isArray(value["deliveries"]))
    return value as unknown as NoticesView;
  throw foreign("a list of notices");
}

function parseNotice(value: unknown): Notice {
  if (isRecord(value) && typeof value["id"] === "string" && typeof value["kind"] === "string") return value as unknown as Notice;
  throw foreign("a notice");
}

function parseTest(value: unknown): TestResult {
  if (isRecord(value) && typeof value["ok"] === "boolean" && typeof value["detail"] === "string") return value as unknown as TestResult;
  throw foreign("the result of a test");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function foreign(what: string): Failed {
  return new Failed(`The answer is not ${what} as this version knows it: is the running crossfade of another version?`);
}
