import { ServerResponse, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { Socket } from "node:net";
import { NodeDownstream, type DownstreamParts } from "./downstream.ts";

/** A request to change protocols: it can be tunnelled, or answered like any other. */
export class UpgradeDownstream extends NodeDownstream {
  override readonly upgrade = true;
  /** Bytes that came right behind the head. */
  readonly early: Buffer;
  readonly socket: Duplex;

  constructor(parts: DownstreamParts, socket: Duplex, early: Buffer) {
    super(parts);
    this.socket = socket;
    this.early = early;
  }

  /** The connection is the tunnel's from now on; the response object must not close it. */
  release(): void {
    this.started = true;
    if (this.socket instanceof Socket) this.res.detachSocket(this.socket);
  }

  /** No tunnel came of it, and nothing was sent: the client can still be answered. */
  reclaim(): void {
    if (!this.open || !(this.socket instanceof Socket) || !this.socket.writable) return;
    this.started = false;
    this.res.assignSocket(this.socket);
  }

  /** The other end has closed. What it said last is still delivered; a client that never closes its half is not waited for. */
  hangUp(): void {
    if (this.socket instanceof Socket) this.socket.destroySoon();
  }

  /** The tunnel is over. */
  closed(): void {
    this.res.emit("close");
  }
}

export function upgradeDownstream(parts: Omit<DownstreamParts, "res" | "expects">, socket: Duplex, early: Buffer): UpgradeDownstream {
  const res = new ServerResponse<IncomingMessage>(parts.req);
  // After an upgrade request nothing else can follow on the connection, whatever the answer.
  res.shouldKeepAlive = false;
  if (socket instanceof Socket) res.assignSocket(socket);
  res.on("finish", () => socket.end());
  socket.on("error", () => {});
  return new UpgradeDownstream({ ...parts, res, expects: false }, socket, early);
}
