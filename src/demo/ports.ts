import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";

/** Somebody found its port taken and runs on another. */
export interface Move {
  readonly who: string;
  readonly from: number;
  readonly to: number;
}

/** Says so in one line, or none: with a second demo all of them have moved. */
export function describeMoves(moves: readonly Move[]): string[] {
  const [only, ...others] = moves;
  if (only === undefined) return [];
  if (others.length === 0) return [`port ${only.from} is taken, so ${only.who} runs on ${only.to}`];
  return [`ports are taken, so ${moves.map(({ who, to }) => `${who} runs on ${to}`).join(", ")}`];
}

/** `wanted` where it is free on the loopback address, else one that is. */
export async function choosePort(wanted: number): Promise<number> {
  return (await tryPort(wanted)) ?? (await tryPort(0)) ?? 0;
}

async function tryPort(port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  } catch {
    return undefined;
  }
  const { port: found } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return found;
}
