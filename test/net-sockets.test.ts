import t from "tap";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { createNetSockets } from "../src/transport/wire/net-sockets.ts";
import type { SocketHandler, WireSocket } from "../src/transport/wire/sockets.ts";
import { AUTHORITY, CERTIFICATE, KEY } from "./support/certificate.ts";
import { configOf, splitYaml } from "./support/proxy.ts";

const SILENT: SocketHandler = { onConnected() {}, onBytes() {}, onDrained() {}, onEnd() {}, onClosed() {} };
const URL = "http://127.0.0.1:1";

t.test("nothing waits any more when that is said, however often more was sent meanwhile", async (t) => {
  const piece = Buffer.alloc(8_000_000);
  let sent = 0;
  let received = 0;
  let late = 0;
  let drained = false;
  const send = (): void => {
    sent += piece.length;
    socket.send(piece, 0, piece.length, true);
  };
  const server = createServer((peer: Socket) => {
    peer.on("data", (chunk) => {
      received += chunk.length;
      // In the middle of each piece, and so in the middle of a write.
      if (drained || late === 3 || received < 2_000_000 + late * piece.length) return;
      late++;
      send();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const handler: SocketHandler = {
    ...SILENT,
    onConnected() {
      send();
      send();
    },
    onDrained() {
      drained = true;
      socket.close();
    },
  };
  const accepted = once(server, "connection");
  const socket: WireSocket = createNetSockets().connect({ secure: false, host: "127.0.0.1", port, origin: URL, ca: undefined }, handler);
  const [peer] = (await accepted) as [Socket];
  await once(peer, "close");
  t.equal(received, sent);
});

t.test("over TLS too it is known, when no more is sent, that something waits, and said when it does not", async (t) => {
  const { limits } = configOf(splitYaml({ stable: URL, candidate: URL }));
  const { promise, resolve } = Promise.withResolvers<readonly [boolean, boolean]>();
  const listening = await createNetSockets().listen(
    { name: "test", host: "127.0.0.1", port: 0, reusePort: false, tls: { cert: CERTIFICATE, key: KEY } },
    limits,
    (socket) => {
      let waited = false;
      const onBytes = (): void => {
        socket.send(Buffer.from("last words"), 0, 10);
        socket.finish();
        waited = socket.pending;
      };
      const onDrained = (): void => resolve([waited, socket.pending]);
      return { ...SILENT, onBytes, onDrained };
    },
  );
  t.teardown(() => listening.destroy());
  const client = connectTls({ port: listening.port, host: "127.0.0.1", ca: AUTHORITY }, () => client.write("?"));
  t.teardown(() => client.destroy());
  const [words] = await once(client, "data");
  t.equal(String(words), "last words");
  t.same(await promise, [true, false]);
});
