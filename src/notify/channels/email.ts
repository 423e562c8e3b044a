import { hostname } from "node:os";
import { createTransport } from "nodemailer";
import type { EmailChannel } from "../../config/config-told.ts";
import { withoutSecrets } from "./hidden.ts";
import type { Message, Send, Sent } from "./message.ts";

/**
 * A mail server. Each message has a connection of its own, which is closed at once: between two of them hours may pass. Certificates are verified,
 * except where `opportunistic` takes what it gets.
 */
export function createEmailSend(channel: EmailChannel): Send {
  const { from, to, host, port, tls, user, password, timeoutMs } = channel;
  const secrets = password === undefined ? [] : [password, `\0${user ?? ""}\0${password}`];
  const domain = domainOf(from);
  return async (message, signal) => {
    const limit = AbortSignal.timeout(timeoutMs);
    const transport = createTransport({
      host,
      port,
      secure: tls === "implicit",
      requireTLS: tls === "required",
      tls: { rejectUnauthorized: tls !== "opportunistic" },
      // A server that knows of no login is not the one that is meant.
      ...(user === undefined ? {} : { auth: { user, pass: password ?? "" }, forceAuth: true }),
      name: heloName(),
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      socketCloseTimeout: 0,
      disableFileAccess: true,
      disableUrlAccess: true,
      logger: false,
    });
    try {
      const { accepted, rejected } = await transport.sendMail({
        ...mailOf(message, domain),
        from,
        to: [...to],
        signal: AbortSignal.any([limit, signal]),
      });
      if (rejected.length === 0) return { ok: true };
      return { ok: true, remark: `${rejected.length} of ${accepted.length + rejected.length} recipients were refused by the mail server` };
    } catch (error) {
      if (limit.aborted) return { ok: false, detail: `the mail server did not take it within ${timeoutMs} ms` };
      if (signal.aborted) return { ok: false, detail: "called off before its end" };
      return failureOf(error, secrets);
    } finally {
      transport.close();
    }
  };
}

function mailOf({ id, words, notice, at }: Message, domain: string) {
  return {
    subject: words.subject,
    text: words.text,
    html: words.html,
    date: new Date(at),
    messageId: `<${id}@${domain}>`,
    // All of one notice stand together, and later ones answer the first though it may have gone to others.
    references: `<${notice.id}.${notice.openedAt}@${domain}>`,
    headers: {
      // RFC 3834: nobody's absence note shall answer.
      "Auto-Submitted": "auto-generated",
      "X-Auto-Response-Suppress": "All",
      "X-Crossfade-Delivery": id,
    },
    ...(notice.severity === "P0" || notice.severity === "P1" ? { priority: "high" as const } : {}),
  };
}

/** Of the sender, so that the same message has the same id whoever sends it. */
function domainOf(from: string): string {
  return /@([^@>\s]+)>?$/.exec(from)?.[1] ?? "crossfade";
}

/** RFC 5321 wants a name, or an address in brackets. */
function heloName(): string {
  const name = hostname();
  return /^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(name) ? name : "[127.0.0.1]";
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNECTION: "the connection to the mail server broke off",
  ECONNREFUSED: "nobody takes connections there",
  ECONNRESET: "the connection to the mail server broke off",
  ESOCKET: "no connection to the mail server came about",
  EDNS: "the name of the mail server is not known",
  ENOTFOUND: "the name of the mail server is not known",
  ETIMEDOUT: "the mail server took too long",
  ETLS: "TLS with the mail server did not come about",
  EAUTH: "the login was refused",
  ENOAUTH: "no login was possible",
  EENVELOPE: "the mail server takes no mail from this sender, or for these recipients",
  EMESSAGE: "the mail server did not take the message",
};

function failureOf(error: unknown, secrets: readonly string[]): Sent {
  const { code, response, why } = read(error);
  const reason = REASONS[code] ?? "the mail could not be sent";
  const said = withoutSecrets(response === "" ? why : response, secrets);
  return { ok: false, detail: `${reason} (${code === "" ? "unknown" : code}${said === "" ? "" : `: ${said}`})` };
}

function read(error: unknown): { readonly code: string; readonly response: string; readonly why: string } {
  if (!(error instanceof Error)) return { code: "", response: "", why: "" };
  const text = (name: string): string => {
    const value: unknown = Reflect.get(error, name);
    return typeof value === "string" ? value : "";
  };
  return { code: text("code"), response: text("response"), why: error.message };
}
