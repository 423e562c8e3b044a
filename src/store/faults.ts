import type { Config } from "../config/config.ts";

/** No answer came in the time allowed: the server hangs, or the network swallows what we send. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

/** The server that a name led to is not the one we need. */
export class WrongServer extends Error {
  override readonly name = "WrongServer";
}

/** The address of the store as it may be shown: without its password. */
export function storeAddress(store: Config["store"]): string {
  if (store.kind === "memory") return "memory";
  if (store.kind === "sentinel") {
    const sentinels = store.sentinels.map((sentinel) => `${sentinel.host}:${sentinel.port}`).join(",");
    return `${store.master} at the Sentinels ${sentinels}`;
  }
  if (!URL.canParse(store.url)) return "the address of the store";
  const url = new URL(store.url);
  if (url.password !== "") url.password = "***";
  url.search = "";
  return url.href;
}

/** The code of an error reply (its first word, as the protocol has it) or of a system error; empty when there is none. */
export function faultCode(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  if (error.name !== "ReplyError") return "";
  // Before version 7 the error of a command inside a script stands within the script's own.
  return /^(?:ERR Error running script.*? -)?([A-Z]{2,})/.exec(error.message)?.[1] ?? "";
}

/** The server is well and the right one, and has refused one command; nothing of it was done. */
export function isRefusal(error: unknown): boolean {
  return ["WRONGKIND", "WRONGTYPE", "NOPERM", "OOM", "MISCONF", "NOREPLICAS", "BUSY"].includes(faultCode(error));
}

/** What keeps us from the store and what to do about it: one sentence. */
export function describeFault(error: unknown, address: string): string {
  const sentence = describe(error, address);
  return sentence.endsWith("?") ? sentence : `${sentence}.`;
}

function describe(error: unknown, address: string): string {
  const code = faultCode(error);
  const told = error instanceof Error ? error.message : String(error);
  switch (code) {
    case "NOAUTH":
      return `Redis at ${address} wants a password and none was given; put it into store, as redis://:PASSWORD@host:port`;
    case "WRONGPASS":
      return `Redis at ${address} refuses the user or password; correct it in store (special characters %-encoded), as redis://USER:PASSWORD@host:port`;
    case "NOPERM":
      return `Redis at ${address} does not permit this user what is needed (${told}); extend the user's rules with ACL SETUSER`;
    case "ECONNREFUSED":
      return `Nothing answers at ${address}: is Redis running there, and is the port right?`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `The name in ${address} cannot be resolved (${told}); correct the host in store, or the DNS`;
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `${address} cannot be reached (${code}); check the address and what stands between (firewall, network)`;
    case "READONLY":
      return `Redis at ${address} is a replica and refuses writes; point store at the master, or name its Sentinels`;
    case "MASTERDOWN":
      return `Redis at ${address} is a replica that has lost its master; point store at the master, or name its Sentinels`;
    case "LOADING":
      return `Redis at ${address} is still loading its data; it will answer when it is done`;
    case "BUSY":
      return `Redis at ${address} is busy with somebody's script; end it with SCRIPT KILL`;
    case "OOM":
      return `Redis at ${address} has used up its memory and refuses writes; raise maxmemory or free some`;
    case "MISCONF":
    case "NOREPLICAS":
      return `Redis at ${address} refuses writes (${told})`;
    case "WRONGKIND":
      return `A key of crossfade's own has been overwritten (${told.replace("WRONGKIND ", "")}); delete or rename it`;
    default:
  }
  if (error instanceof NoAnswer) return `Redis at ${address} does not answer (${told}); is the process stopped or the machine overloaded?`;
  if (error instanceof WrongServer) return `${told} (${address})`;
  if (code.startsWith("ERR_TLS") || code.startsWith("CERT_") || code.includes("CERT") || code === "EPROTO") {
    return `The TLS connection to ${address} fails (${told}); check the certificate, or use redis:// for a server without TLS`;
  }
  return `Redis at ${address}: ${told}`;
}
