import type { WebAnswer } from "../../controller/web-post.ts";
import type { Sent } from "./message.ts";
import { withoutSecrets } from "./hidden.ts";

/** What the answer of a webhook means. Only a status from 200 to 299 says that it was taken. */
export function outcomeOf(answer: WebAnswer, secrets: readonly string[], now: number): Sent {
  if (answer.kind === "none") return { ok: false, detail: answer.why };
  const { status, text, retryAfter } = answer;
  if (status >= 200 && status < 300) return { ok: true };
  const said = withoutSecrets(text, secrets);
  const detail =
    status >= 300 && status < 400
      ? `HTTP ${status}: redirects are not followed; name the address that answers`
      : `HTTP ${status}${said === "" ? "" : `: ${said}`}`;
  return { ok: false, detail, retryAfterMs: parseRetryAfter(retryAfter, now) };
}

/** Milliseconds from seconds, or from an HTTP date; undefined where it is neither. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1_000;
  const at = /[A-Za-z]{3}/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
