import { constants } from "node:crypto";
import { isIP } from "node:net";
import type { SecureContextOptions, TlsOptions } from "node:tls";
import type { Endpoint } from "../config/config.ts";
import type { ListenTls } from "./transport.ts";

/** How TLS is spoken, the same on every engine. */

/** HTTP/1.1 is all that is spoken here. A peer that offers only others is refused in the handshake (RFC 7301, 3.2). */
const ALPN = ["http/1.1"];

/** Of TLS 1.2 only what keeps past traffic secret if the key leaks, and authenticates what it encrypts (RFC 9325, 4.2). */
const CIPHERS = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** For a listener. A handshake that takes longer than `handshakeMs` is given up. */
export function serverTls({ cert, key }: ListenTls, handshakeMs: number): TlsOptions {
  return {
    cert,
    key,
    // Who puts this in front of a running service must not lose its older clients: RFC 9325 asks servers to go on speaking 1.2.
    minVersion: "TLSv1.2",
    ciphers: CIPHERS,
    // A client could make the server work by asking for one handshake after the other on a connection.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ALPNProtocols: ALPN,
    handshakeTimeout: handshakeMs,
  };
}

export interface ClientTls extends SecureContextOptions {
  readonly servername: string;
  readonly ALPNProtocols: string[];
}

/** For a connection to an endpoint, which must prove that it is the host of its configured address, whatever host the request names. */
export function clientTls({ host, ca }: Endpoint): ClientTls {
  // An address may not be indicated as a name (RFC 6066, 3); the certificate is checked against it all the same.
  const servername = isIP(host) === 0 ? host : "";
  return { servername, ALPNProtocols: ALPN, ...(ca === undefined ? {} : { ca }) };
}
