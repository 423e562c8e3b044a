/** Shorter ones stand in innocent words too. */
const LEAST = 4;
const SHOWN = 200;

/**
 * What a receiver said, as it may be shown and logged: one short line without the secrets of its channel, in whatever form it repeats them.
 * "" where it cannot be told apart from them.
 */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  // Cut only when all are gone: a part of one would not be known any more.
  let shown = text
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim()
    .toWellFormed();
  for (const secret of formsOf(secrets)) shown = shown.replaceAll(secret, "***");
  return shown.length <= SHOWN ? shown : `${shown.slice(0, SHOWN).toWellFormed()}…`;
}

/** Longest first, so that none is left in part. */
function formsOf(secrets: readonly string[]): readonly string[] {
  const forms = secrets.flatMap((secret) => {
    const bytes = Buffer.from(secret);
    return [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), bytes.toString("base64"), bytes.toString("base64url")];
  });
  return [...new Set(forms)].filter((form) => form.length >= LEAST).toSorted((a, b) => b.length - a.length);
}

/** The parts of an address that may be what gives access: its path and its query, whole and in pieces. */
export function secretsOf(url: string): readonly string[] {
  const { href, pathname, search, searchParams } = new URL(url);
  // Short pieces such as "services" or "v1" are words, not secrets.
  const pieces = [...pathname.split("/"), ...searchParams.values()].filter(
    (piece) => piece.length >= 9 || /\d.*[A-Z]|[A-Z].*\d/.test(piece),
  );
  const decoded = pieces.map((piece) => (URL.canParse(`http://h/${piece}`) ? safelyDecoded(piece) : piece));
  return [href, pathname + search, pathname, ...pieces, ...decoded].filter((piece) => piece.length > 1);
}

function safelyDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
