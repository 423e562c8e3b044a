import type { z } from "zod";
import { socketAddress, type SocketAddress } from "./addresses.ts";
import { isMapping } from "./issues.ts";
import { readScalar } from "./scalars.ts";
import { route } from "./schema-traffic.ts";
import { flag, identity, trustedHops } from "./schema-users.ts";

/**
 * What can be understood of a file that may have mistakes elsewhere, so that the checks between its parts report theirs in
 * the same run. A part is undefined where it has mistakes of its own.
 */
export interface Draft {
  readonly listeners: readonly { readonly name: unknown; readonly address: SocketAddress | undefined; readonly tls: unknown }[];
  readonly admin: { readonly address: SocketAddress | undefined; readonly hasToken: boolean };
  /** Undefined: the list cannot be read, so nothing can be said about who is on it. */
  readonly upstreams: readonly string[] | undefined;
  readonly flags: readonly DraftFlag[] | undefined;
  readonly routes: readonly DraftRoute[];
  readonly identity: z.output<typeof identity> | undefined;
  readonly trustedHops: readonly string[] | undefined;
  /** The file as it is. */
  readonly raw: Raw;
}

export type Raw = Readonly<Record<string, unknown>>;

export interface DraftFlag {
  readonly name: string;
  readonly segments: readonly string[];
  readonly parsed: z.output<typeof flag> | undefined;
}

type RouteShape = typeof route.shape;
type RoutePart<K extends keyof RouteShape> = z.output<RouteShape[K]> | undefined;

export interface DraftRoute {
  readonly index: number;
  readonly raw: Raw;
  readonly match: RoutePart<"match">;
  readonly stable: RoutePart<"stable">;
  readonly candidate: RoutePart<"candidate">;
  readonly path: RoutePart<"path">;
  readonly respond: RoutePart<"respond">;
  readonly timeoutMs: RoutePart<"timeout">;
}

const DEFAULT_LISTENER = { address: "127.0.0.1:8080" };
const DEFAULT_ADMIN = "127.0.0.1:9090";

export function draftOf(data: unknown): Draft {
  const raw = mappingOf(data);
  const { address = DEFAULT_ADMIN, token } = mappingOf(raw["admin"]);
  return {
    listeners: listOf(raw["listeners"] ?? [DEFAULT_LISTENER]).map((given) => draftListener(mappingOf(given))),
    admin: { address: addressOf(address), hasToken: token !== undefined && token !== "" },
    upstreams: keysOf(raw["upstreams"]),
    flags: keysOf(raw["flags"])?.map((name) => draftFlag(name, mappingOf(raw["flags"])[name])),
    routes: listOf(raw["routes"]).flatMap((given, index) => (isMapping(given) ? [draftRoute(given, index)] : [])),
    identity: part(identity, raw["identity"]),
    trustedHops: part(trustedHops, raw["trusted_hops"]),
    raw,
  };
}

function draftListener({ name = "public", address, tls }: Raw): Draft["listeners"][number] {
  return { name, address: addressOf(address), tls };
}

function addressOf(given: unknown): SocketAddress | undefined {
  const reading = readScalar(socketAddress(true), given);
  return "value" in reading ? reading.value : undefined;
}

function draftFlag(name: string, given: unknown): DraftFlag {
  return { name, segments: keysOf(mappingOf(given)["user_segments"]) ?? [], parsed: part(flag, given) };
}

function draftRoute(raw: Raw, index: number): DraftRoute {
  const { shape } = route;
  return {
    index,
    raw,
    match: part(shape.match, raw["match"]),
    stable: part(shape.stable, raw["stable"]),
    candidate: part(shape.candidate, raw["candidate"]),
    path: part(shape.path, raw["path"]),
    respond: part(shape.respond, raw["respond"]),
    timeoutMs: part(shape.timeout, raw["timeout"]),
  };
}

function part<S extends z.ZodType>(schema: S, given: unknown): z.output<S> | undefined {
  const parsed = schema.safeParse(given);
  return parsed.success ? parsed.data : undefined;
}

/** No keys where nothing is given; undefined where something else than a mapping stands. */
function keysOf(given: unknown): readonly string[] | undefined {
  if (given === undefined) return [];
  return isMapping(given) ? Object.keys(given) : undefined;
}

export function mappingOf(given: unknown): Raw {
  return isMapping(given) ? given : {};
}

export function listOf(given: unknown): readonly unknown[] {
  return Array.isArray(given) ? given : [];
}
