import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { freePort } from "../processes.ts";
import { launch, WEIGHT, type Contender } from "./contender.ts";

const BENCH = path.join(import.meta.dirname, "..");

/** Other proxies for Node. */
export const PEERS: readonly Contender[] = [
  peer("http-proxy", "http-proxy-3 on node:http, keep-alive agent", undefined),
  peer("fastify-http-proxy", "@fastify/http-proxy with undici pools", "@fastify/http-proxy"),
  peer("fast-proxy", "fast-proxy on node:http with undici pools", "fast-proxy"),
];

function peer(name: string, what: string, needs: string | undefined): Contender {
  return {
    name,
    what,
    weight: WEIGHT,
    lacks: () =>
      needs === undefined || existsSync(path.join(BENCH, "node_modules", needs))
        ? undefined
        : `${needs} is not installed: npm --prefix bench ci`,
    async start(world) {
      const port = await freePort();
      const script = path.join(BENCH, "peers", `${name}.mjs`);
      return launch(world, name, port, [process.execPath, script, ...[port, world.stablePort, world.candidatePort, WEIGHT].map(String)]);
    },
  };
}

/** Installs the packages of bench/package.json where one that is wanted is missing; says why not, if it cannot. */
export function installPeers(chosen: readonly Contender[]): string | undefined {
  if (!chosen.some((contender) => PEERS.includes(contender) && contender.lacks() !== undefined)) return undefined;
  process.stderr.write("Installing the other proxies (npm --prefix bench ci) ...\n");
  const run = spawnSync("npm", ["--prefix", BENCH, "ci", "--no-audit", "--no-fund"], { encoding: "utf8", timeout: 120_000 });
  return run.status === 0 ? undefined : (run.error?.message ?? run.stderr.trim());
}
