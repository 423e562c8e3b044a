import { performance } from "node:perf_hooks";
import type { FallbackReason } from "../core/words.ts";
import type { Call, CallFailure, TunnelHandler } from "../transport/transport.ts";
import type { Exchange } from "./exchange.ts";
import type { Plan } from "./plan.ts";
import { answerOf } from "./respond.ts";
import type { Destination } from "./routes.ts";
import type { Said } from "./said.ts";
import { servedLines } from "./story.ts";

const UNTRANSLATED: Said = { body: { kind: "none" }, translated: undefined };

/**
 * Opens a tunnel for an upgrade request. The arm is chosen once, when it opens; an arm that cannot be connected to is replaced by the
 * other, for nothing has been sent yet.
 */
export function openUpgrade(exchange: Exchange, plan: Plan): void {
  exchange.upgrade = new Upgrade(exchange, plan.fallback);
  exchange.upgrade.open(plan.first);
}

export class Upgrade implements TunnelHandler {
  readonly #exchange: Exchange;
  #fallback: Destination | undefined;
  /** Why the other arm was asked. */
  fellBack: FallbackReason | undefined;
  #call: Call | undefined;
  #to: Destination | undefined;

  constructor(exchange: Exchange, fallback: Destination | undefined) {
    this.#exchange = exchange;
    this.#fallback = fallback;
  }

  open(to: Destination): void {
    const { edits } = answerOf(this.#exchange, undefined, performance.now());
    const { name } = to.backend;
    const told = this.#exchange.context.config.responseHeaders === "all" ? servedLines(name) : "";
    const set = edits.set + told;
    this.#to = to;
    this.#call = to.backend.upstream.tunnel(this.#exchange.requestFor(to, UNTRANSLATED, false, false), { ...edits, set }, this);
  }

  onOpen(status: number): void {
    if (this.#to !== undefined) this.#exchange.tunnelOpened(this.#to, status);
  }

  onClose(): void {
    this.#call = undefined;
  }

  onFailure(failure: CallFailure): void {
    const fallback = this.#fallback;
    this.#fallback = undefined;
    if (failure.kind === "connect-failed" && fallback !== undefined) {
      const { context, route } = this.#exchange;
      this.fellBack = "error";
      if (route !== undefined) context.meters.fallback(route.index, "error");
      this.open(fallback);
    } else this.#exchange.fail(failure.kind === "connect-failed" ? "upstream-unreachable" : "upstream-failed", failure.detail);
  }

  cancel(): void {
    this.#call?.cancel();
  }
}
