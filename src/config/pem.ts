import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { Reading } from "./scalars.ts";

/** Texts in PEM: what stands in them, or what is wrong, in words that follow the name of the file. Keys are never quoted. */

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/;
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/;

/** The certificates of a text, in its order; at least one. */
export function readCertificates(text: string): Reading<readonly X509Certificate[]> {
  const blocks = text.match(new RegExp(CERTIFICATE, "g")) ?? [];
  if (blocks.length === 0 && PRIVATE_KEY.test(text)) return { wrong: "holds a private key and no certificate; were the two exchanged?" };
  if (blocks.length === 0) {
    return {
      wrong: "holds no certificate in PEM (-----BEGIN CERTIFICATE-----); openssl x509 -inform der -in FILE -out NEW converts a binary one",
    };
  }
  const certificates: X509Certificate[] = [];
  for (const block of blocks) {
    try {
      certificates.push(new X509Certificate(block));
    } catch {
      return { wrong: `holds a certificate that cannot be read (number ${certificates.length + 1} in the file)` };
    }
  }
  return { value: certificates };
}

export function readPrivateKey(text: string): Reading<KeyObject> {
  if (!PRIVATE_KEY.test(text)) {
    if (CERTIFICATE.test(text)) return { wrong: "holds a certificate and no private key; were the two exchanged?" };
    return {
      wrong: "holds no private key in PEM (-----BEGIN PRIVATE KEY-----); openssl pkey -inform der -in FILE -out NEW converts a binary one",
    };
  }
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    return { wrong: "is encrypted, and there is no place for a passphrase; openssl pkey -in FILE -out NEW writes it in the clear" };
  }
  try {
    return { value: createPrivateKey(text) };
  } catch {
    return { wrong: "holds a private key that cannot be read" };
  }
}
