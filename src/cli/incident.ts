import { type Command, Option } from "commander";
import { formatDuration, parseDuration } from "../core/quantity.ts";
import {
  type Board,
  IMPACTS,
  type Incident,
  INCIDENT_STATES,
  type Maintenance,
  PRIORITIES,
  stateOf,
  type Wording,
} from "../incidents/incident.ts";
import { type ClientOptions, addClientOptions, chooseTarget } from "./client-options.ts";
import { type Answer, ask } from "./client.ts";
import { Failed, WrongUsage } from "./failed.ts";
import { bold, print, remark, table } from "./output.ts";

interface WordsOptions extends ClientOptions {
  readonly title?: string;
  readonly titleFr?: string;
  readonly text?: string;
  readonly textFr?: string;
}

interface IncidentOptions extends WordsOptions {
  readonly priority?: string;
  readonly impact?: string;
  readonly state?: string;
}

interface MaintenanceOptions extends WordsOptions {
  readonly from?: string;
  readonly to?: string;
  readonly for?: string;
}

export function addIncident(program: Command): void {
  const incident = program.command("incident").description("tell customers of a trouble, on the status page");

  const list = incident.command("list").description("open incidents and those of the last 90 days");
  addClientOptions(list).addHelpText("after", "\nExample:\n  crossfade incident list --json");
  list.action(async (options: ClientOptions) => {
    const answer = await ask(await chooseTarget(options), "/api/incidents");
    if (options.json) return print(answer.text);
    const { incidents } = boardOf(answer);
    if (incidents.length === 0) return print("No incidents.");
    print(...table([["ID", "STATE", "IMPACT", "PRIORITY", "OPENED", "TITLE"], ...incidents.map(incidentRow)]));
  });

  const open = addWords(incident.command("open").description("open an incident"))
    .addOption(new Option("--priority <priority>", "how urgent it is for us; customers do not see it").choices(PRIORITIES).default("P2"))
    .addOption(new Option("--impact <impact>", "what it means for customers").choices(IMPACTS).default("degraded"))
    .addOption(new Option("--state <state>", "how far we are").choices(INCIDENT_STATES).default("investigating"));
  addClientOptions(open).addHelpText(
    "after",
    '\nExample:\n  crossfade incident open --title "Slow answers" --text "We are looking into it." --title-fr "Réponses lentes" --text-fr "Nous enquêtons." --impact degraded',
  );
  open.action(async ({ priority, impact, state, ...options }: IncidentOptions) => {
    const body = { title: wordingOf(options, "title"), text: wordingOf(options, "text"), priority, impact, state };
    const answer = await post(options, "/api/incidents", body);
    if (options.json) return print(answer.text);
    print(`${bold(incidentOf(answer).id)} is open.`);
  });

  const update = incident
    .command("update")
    .description("say what is known by now")
    .argument("<ID>", "such as inc-7; `crossfade incident list` has them")
    .addOption(new Option("--state <state>", "how far we are").choices(INCIDENT_STATES).makeOptionMandatory())
    .addOption(new Option("--impact <impact>", "what it means for customers, where that has changed").choices(IMPACTS))
    .addOption(new Option("--priority <priority>", "how urgent it is for us, where that has changed").choices(PRIORITIES));
  addClientOptions(addText(update)).addHelpText(
    "after",
    '\nExample:\n  crossfade incident update inc-7 --state identified --text "A disk is full. We are moving data."',
  );
  update.action(async (id: string, options: IncidentOptions) => tell(id, options, options.state ?? ""));

  const resolve = incident.command("resolve").description("say that it is over").argument("<ID>", "such as inc-7");
  addClientOptions(addText(resolve)).addHelpText(
    "after",
    '\nExample:\n  crossfade incident resolve inc-7 --text "Everything works again."',
  );
  resolve.action(async (id: string, options: IncidentOptions) => tell(id, options, "resolved"));
}

export function addMaintenance(program: Command): void {
  const maintenance = program.command("maintenance").description("announce work to customers, on the status page");

  const list = maintenance.command("list").description("what is announced, under way, and over");
  addClientOptions(list).addHelpText("after", "\nExample:\n  crossfade maintenance list");
  list.action(async (options: ClientOptions) => {
    const answer = await ask(await chooseTarget(options), "/api/incidents");
    const board = boardOf(answer);
    if (options.json) return print(JSON.stringify(JSON.parse(answer.text).maintenance, null, 2));
    if (board.maintenance.length === 0) return print("No maintenance.");
    print(...table([["ID", "STATE", "FROM", "TO", "TITLE"], ...board.maintenance.map((one) => maintenanceRow(one, Date.now()))]));
  });

  const announce = addWords(maintenance.command("announce").description("announce work"))
    .option("--from <instant>", "when it begins, such as 2026-11-24T22:00Z (default: now)")
    .option("--to <instant>", "when it ends")
    .option("--for <duration>", "how long it takes, instead of --to, such as 90m");
  addClientOptions(announce).addHelpText(
    "after",
    '\nExample:\n  crossfade maintenance announce --title "Move of a database" --text "Short interruptions." --from 2026-11-24T22:00Z --for 90m',
  );
  announce.action(async (options: MaintenanceOptions) => {
    const body = { title: wordingOf(options, "title"), text: wordingOf(options, "text"), from: options.from, to: endOf(options) };
    const answer = await post(options, "/api/maintenance", body);
    if (options.json) return print(answer.text);
    const { id, from, to } = maintenanceOf(answer);
    print(`${bold(id)} is announced, from ${instant(from)} to ${instant(to)}.`);
  });

  const cancel = maintenance
    .command("cancel")
    .description("say that it does not take place")
    .argument("<ID>", "such as mnt-8; `crossfade maintenance list` has them");
  addClientOptions(cancel).addHelpText("after", "\nExample:\n  crossfade maintenance cancel mnt-8");
  cancel.action(async (id: string, options: ClientOptions) => {
    const answer = await post(options, `/api/maintenance/${encodeURIComponent(id)}/cancel`, {});
    if (options.json) return print(answer.text);
    print(`${bold(maintenanceOf(answer).id)} is cancelled.`);
  });
}

function addWords(command: Command): Command {
  return addText(
    command.option("--title <text>", "what it is, in English or for both languages").option("--title-fr <text>", "the same in French"),
  );
}

function addText(command: Command): Command {
  return command
    .option("--text <text>", "what customers should know, in English or for both languages")
    .option("--text-fr <text>", "the same in French");
}

/** One text stands for both languages; two for one each. */
function wordingOf(options: WordsOptions, name: "title" | "text"): string | Wording {
  const [en, fr] = name === "title" ? [options.title, options.titleFr] : [options.text, options.textFr];
  if (en === undefined && fr === undefined) throw new WrongUsage(`Say --${name}, which customers read.`);
  if (fr === undefined) return en ?? "";
  return en === undefined ? { fr } : { en, fr };
}

async function tell(id: string, options: IncidentOptions, state: string): Promise<void> {
  const { impact, priority } = options;
  const body = { state, text: wordingOf(options, "text"), impact, priority };
  const answer = await post(options, `/api/incidents/${encodeURIComponent(id)}/updates`, body);
  if (options.json) return print(answer.text);
  const incident = incidentOf(answer);
  print(`${bold(incident.id)} is ${stateOf(incident)}.`);
}

async function post(options: ClientOptions, path: string, body: unknown): Promise<Answer> {
  return ask(await chooseTarget(options), path, { method: "POST", body, waitMs: 0 });
}

function endOf(options: MaintenanceOptions): string {
  if ((options.to === undefined) === (options.for === undefined)) throw new WrongUsage("Say either --to or --for.");
  if (options.to !== undefined) return options.to;
  const ms = parseDuration(options.for ?? "");
  if (ms === undefined || ms === 0)
    throw new WrongUsage(`--for: ${JSON.stringify(options.for)} is not a duration such as ${formatDuration(5_400_000)}.`);
  const from = options.from === undefined ? Date.now() : Date.parse(options.from);
  if (!Number.isFinite(from)) throw new WrongUsage(`--from: ${JSON.stringify(options.from)} is not an instant such as 2026-11-24T22:00Z.`);
  return new Date(from + ms).toISOString();
}

function incidentRow(incident: Incident): string[] {
  const { id, impact, priority, openedAt, title } = incident;
  return [id, stateOf(incident), impact, priority, instant(openedAt), title.en ?? title.fr ?? ""];
}

function maintenanceRow({ id, from, to, cancelled, title }: Maintenance, now: number): string[] {
  const state = cancelled ? "cancelled" : to <= now ? "over" : from <= now ? "under way" : "announced";
  return [id, state, instant(from), instant(to), title.en ?? title.fr ?? ""];
}

function instant(at: number): string {
  return new Date(at).toISOString().replace(/:\d\d\.\d{3}Z$/, "Z");
}

// The answers come from an admin API of the same version, so each is known by a few of its members: these casts are where that is assumed.

function boardOf({ value }: Answer): Omit<Board, "next"> {
  if (!has(value, "incidents") || !has(value, "maintenance")) throw foreign();
  const board = value as unknown as Omit<Board, "next"> & { readonly current: boolean };
  if (!board.current) remark("The settings store cannot be reached: this is what was known last.");
  return board;
}

function incidentOf({ value }: Answer): Incident {
  if (has(value, "id") && has(value, "updates")) return value as unknown as Incident;
  throw foreign();
}

function maintenanceOf({ value }: Answer): Maintenance {
  if (has(value, "id") && has(value, "from")) return value as unknown as Maintenance;
  throw foreign();
}

function has(value: unknown, member: string): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && member in value;
}

function foreign(): Failed {
  return new Failed("The answer is not one that this version knows: is the running crossfade of another version?");
}
