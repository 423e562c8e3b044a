import type { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { Draft } from "./draft.ts";
import { mappingOf } from "./draft.ts";
import { readCertificates, readPrivateKey } from "./pem.ts";
import { type Finding, type Path, show } from "./problem.ts";
import { pemFile, type Reading, readScalar } from "./scalars.ts";
import type { Surroundings } from "./surroundings.ts";

/** The files of certificates and keys that a configuration names: whether they can be used, each alone and together. */
export function checkCertificates(
  draft: Draft,
  surroundings: Surroundings,
): { readonly problems: Finding[]; readonly warnings: Finding[] } {
  const check = new Check(surroundings);
  draft.listeners.forEach(({ tls }, index) => check.listener(["listeners", index, "tls"], mappingOf(tls)));
  for (const [name, upstream] of Object.entries(mappingOf(draft.raw["upstreams"]))) {
    check.upstream(["upstreams", name, "tls", "ca"], mappingOf(mappingOf(upstream)["tls"])["ca"]);
  }
  return check;
}

class Check {
  readonly problems: Finding[] = [];
  readonly warnings: Finding[] = [];
  readonly #surroundings: Surroundings;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  listener(path: Path, tls: Readonly<Record<string, unknown>>): void {
    const cert = this.#read([...path, "cert"], tls["cert"], readCertificates);
    const key = this.#read([...path, "key"], tls["key"], readPrivateKey);
    const own = cert?.value[0];
    if (cert === undefined || own === undefined) return;
    this.#validity([...path, "cert"], cert.name, [own]);
    if (key === undefined) return;
    if (own.checkPrivateKey(key.value)) this.#together([...path, "cert"], cert, key);
    else this.problems.push({ path: [...path, "key"], message: misfit(cert.name, cert.value, key) });
  }

  upstream(path: Path, given: unknown): void {
    const ca = this.#read(path, given, readCertificates);
    if (ca !== undefined) this.#validity(path, ca.name, ca.value);
  }

  /** What stands in the file that is named at `path`; undefined, with a finding, if it cannot be had. */
  #read<T>(path: Path, given: unknown, read: (text: string) => Reading<T>): { name: string; text: string; value: T } | undefined {
    if (given === undefined) return undefined;
    const name = readScalar(pemFile, given);
    // The schema has said what is wrong with the name itself.
    if ("wrong" in name) return undefined;
    const text = this.#surroundings.readFile(name.value);
    const reading = "value" in text ? read(text.value) : text;
    if ("value" in text && "value" in reading) return { name: name.value, text: text.value, value: reading.value };
    if ("wrong" in reading) this.problems.push({ path, message: `${show(name.value)} ${reading.wrong}` });
    return undefined;
  }

  #validity(path: Path, name: string, certificates: readonly X509Certificate[]): void {
    const { now } = this.#surroundings;
    for (const { validFromDate, validToDate } of certificates) {
      const wrong =
        validToDate.getTime() < now
          ? `expired on ${dayOf(validToDate)}; clients will refuse it, so have it renewed`
          : validFromDate.getTime() > now
            ? `is not valid before ${dayOf(validFromDate)}; is this machine's clock right?`
            : undefined;
      if (wrong !== undefined) this.warnings.push({ path, message: `${show(name)} ${wrong}` });
    }
  }

  /** What only the library that will use them can say, such as that the key is too short to be safe. */
  #together(path: Path, cert: { readonly name: string; readonly text: string }, key: { readonly text: string }): void {
    try {
      createSecureContext({ cert: cert.text, key: key.text });
    } catch (cause) {
      const said = cause instanceof Error && "code" in cause ? String(cause.code) : "";
      this.problems.push({ path, message: `${show(cert.name)} cannot be used for TLS (${said || "no reason given"})` });
    }
  }
}

function misfit(
  certName: string,
  certificates: readonly X509Certificate[],
  key: { readonly name: string; readonly value: Parameters<X509Certificate["checkPrivateKey"]>[0] },
): string {
  const at = certificates.findIndex((certificate) => certificate.checkPrivateKey(key.value));
  const advice =
    at < 0
      ? "name the key that the certificate was made with"
      : `it fits number ${at + 1} in that file, and the server's own must stand first`;
  return `${show(key.name)} does not fit the certificate in ${show(certName)}; ${advice}`;
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
