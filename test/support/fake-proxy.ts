import type { Test } from "tap";
import { createWireTransport } from "../../src/transport/wire/engine.ts";
import { FakeSockets, type FakePeer } from "./fake-sockets.ts";
import { splitYaml, startProxy, type TestProxy } from "./proxy.ts";
import { Recording } from "./recording.ts";

export interface FakeProxy extends TestProxy {
  readonly sockets: FakeSockets;
  /** What reached the backend; it answers, unless `sockets.onConnect` is put to other use. */
  readonly recording: Recording;
  /** A client that has just connected. */
  client(): FakePeer;
}

/** Engine `wire` and the data path above it, on sockets in memory. */
export async function startFakeProxy(t: Test, yaml: string): Promise<FakeProxy> {
  const sockets = new FakeSockets();
  // Runs when the proxy has been destroyed, so that it hears of the end of its connections.
  t.teardown(() => sockets.settle());
  const proxy = await startProxy(t, (config) => createWireTransport(config, undefined, sockets), yaml);
  const recording = new Recording();
  sockets.onConnect = (peer) => {
    const take = recording.open((text) => void peer.give(text));
    peer.onData = take;
  };
  const client = (): FakePeer => {
    const peer = sockets.client();
    if (peer === undefined) throw new Error("the client was turned away");
    return peer;
  };
  return { ...proxy, sockets, recording, client };
}

export const V1 = "http://127.0.0.1:1";
export const V2 = "http://127.0.0.1:2";
export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

export function get(target = "/v1/x", fields = ""): string {
  return `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
}

export function post(target: string, body: string, fields = ""): string {
  return `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`;
}

export interface QuietProxy extends FakeProxy {
  /** Connections to upstreams, in the order in which they were made. */
  readonly upstreams: readonly FakePeer[];
}

/** A proxy whose upstream connections the test answers itself. */
export async function startQuiet(t: Test, { yaml = splitYaml({ stable: V1, candidate: V2 }) } = {}): Promise<QuietProxy> {
  const proxy = await startFakeProxy(t, yaml);
  proxy.sockets.onConnect = () => {};
  return { ...proxy, upstreams: proxy.sockets.upstreams };
}

/** Bytes come, and what follows from them happens. */
export async function give(proxy: FakeProxy, peer: FakePeer | undefined, bytes: string): Promise<void> {
  peer?.give(bytes);
  await proxy.sockets.settle();
}
