/** What people are told, and what they were promised: parts of the configuration. */

/** What was promised to customers. */
export interface SlaSettings {
  readonly promises: readonly SlaTarget[];
  /** Share of the error budget that may be spent before it is a warning, basis points. */
  readonly warnAtBp: number;
  /** How long a breached promise must be kept again before it counts as recovered. */
  readonly recoveredAfterMs: number;
}

export interface SlaTarget {
  readonly promise: "availability" | "response_time" | "errors" | "accuracy";
  /** Basis points: least share (availability, response_time, accuracy), or most (errors). */
  readonly targetBp: number;
  /** Of response_time: answered within so many milliseconds. */
  readonly withinMs: number | undefined;
  readonly windowMs: number;
}

export interface IncidentSettings {
  /** Whether a rollback that a trigger causes opens an incident by itself. */
  readonly fromRollbacks: boolean;
  /** How long after such a rollback all must have been well for its incident to be resolved by itself; 0: a person resolves it. */
  readonly resolveAfterMs: number;
}

export interface StatusPageSettings {
  /** A listener of its own, for customers; undefined: on the admin address alone. */
  readonly address: { readonly host: string; readonly port: number } | undefined;
  readonly title: string;
  /** Shown to whoever asks for none of the languages. */
  readonly language: "en" | "fr";
  /** Where customers find the page, for feeds; undefined: as they asked. */
  readonly url: string | undefined;
}

/** Who is told of what. */
export interface Notifications {
  readonly channels: readonly Channel[];
  /** Every one that fits is used; a channel hears of a thing once. */
  readonly routes: readonly NoticeRoute[];
  readonly escalations: readonly Escalation[];
  /** Repetitions until somebody acknowledges. */
  readonly reminders: Readonly<Record<"P0" | "P1" | "P2" | "P3", number | undefined>>;
  /** Told of a rollback at these times after it, whatever is acknowledged. */
  readonly rollbackFlow: readonly { readonly afterMs: number; readonly channels: readonly string[] }[];
  /** What repeats itself within so long is told once, with how often. */
  readonly groupForMs: number;
  /** Where people reach the admin address, for links; undefined: messages say which command to use. */
  readonly url: string | undefined;
  /** Key of the links' signatures; undefined: made once and kept in the state directory, so links work on this instance alone. */
  readonly secret: string | undefined;
}

export interface NoticeRoute {
  readonly severities: readonly ("P0" | "P1" | "P2" | "P3" | "info")[];
  /** Kinds of notices; empty: all. */
  readonly kinds: readonly string[];
  readonly channels: readonly string[];
}

/** Who is called when nobody acknowledges. */
export interface Escalation {
  readonly name: string;
  readonly severities: readonly ("P0" | "P1" | "P2" | "P3")[];
  readonly levels: readonly { readonly afterMs: number; readonly channels: readonly string[] }[];
}

interface ChannelBase {
  readonly name: string;
  readonly language: "en" | "fr";
  /** Of one try. */
  readonly timeoutMs: number;
}

export type Channel = SlackChannel | EmailChannel | WebhookChannel;

export interface SlackChannel extends ChannelBase {
  readonly kind: "slack";
  /** The address of an incoming webhook; a secret: it is shown and logged nowhere. */
  readonly url: string;
}

export interface EmailChannel extends ChannelBase {
  readonly kind: "email";
  readonly from: string;
  readonly to: readonly string[];
  readonly host: string;
  readonly port: number;
  /** implicit: TLS from the first byte. required: STARTTLS or nothing is sent. opportunistic: where offered. */
  readonly tls: "implicit" | "required" | "opportunistic";
  readonly user: string | undefined;
  readonly password: string | undefined;
}

export interface WebhookChannel extends ChannelBase {
  readonly kind: "webhook";
  readonly url: string;
  /** Names in lower case. Values may be secrets. */
  readonly headers: Readonly<Record<string, string>>;
  /** Key of the signature (HMAC-SHA256); undefined: not signed. */
  readonly secret: string | undefined;
}
