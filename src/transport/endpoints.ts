import { performance } from "node:perf_hooks";
import type { Config, Outliers, Upstream as UpstreamConfig } from "../config/config.ts";
import { afterBeginning, afterFailure, afterNothing, afterSend, BLAMELESS, isFit, mostEjected, type Standing } from "./outliers.ts";

/** What choosing an endpoint needs to know of each. */
export interface EndpointState {
  /** Requests under way or waiting. */
  readonly load: number;
  /** Until when others are preferred, after a failure to connect. Milliseconds on the performance clock; 0 for never. */
  shunnedUntil: number;
}

/** An endpoint that could not be connected to is left alone this long, while there is another. */
export const SHUN_MS = 1_000;
/** More than any load. */
const SHUNNED = 1e6;
/** Unhealthy or ejected weighs more than a connection that failed: that is one failure, this took several. */
const UNFIT = 2e6;

/** What checks say of an endpoint. */
export const UNKNOWN = 0;
export const HEALTHY = 1;
export const UNHEALTHY = 2;

/**
 * A board is shared memory in which the control side and the workers tell each other of endpoints, which are numbered through all
 * upstreams in the configuration's order: first what checks say of each ({@link UNKNOWN} ...), written by the control side, then how
 * often each was ejected, counted by all workers together.
 */
export function boardLength(config: Config): number {
  return 2 * config.upstreams.reduce((sum, upstream) => sum + upstream.endpoints.length, 0);
}

/** A board that nobody else writes on: every endpoint's health is unknown, and counts as good. */
export function ownBoard(config: Config): Int32Array {
  return new Int32Array(boardLength(config));
}

/** The words of one endpoint on a board. */
class BoardPlace {
  readonly #board: Int32Array;
  readonly #index: number;

  constructor(board: Int32Array, index: number) {
    this.#board = board;
    this.#index = index;
  }

  get unhealthy(): boolean {
    return Atomics.load(this.#board, this.#index) === UNHEALTHY;
  }

  countEjection(): void {
    Atomics.add(this.#board, this.#board.length / 2 + this.#index, 1);
  }
}

/** The places of an upstream's endpoints, in their order. */
export function placesOf(config: Config, upstream: UpstreamConfig, board: Int32Array): readonly BoardPlace[] {
  if (board.length !== boardLength(config)) throw new RangeError(`a board of ${board.length} words is not of this configuration`);
  const before = config.upstreams.slice(
    0,
    config.upstreams.findIndex(({ name }) => name === upstream.name),
  );
  const first = before.reduce((sum, { endpoints }) => sum + endpoints.length, 0);
  return upstream.endpoints.map((_, index) => new BoardPlace(board, first + index));
}

/** How the requests to one endpoint ended, and what follows from that. */
export class EndpointRecord {
  standing: Standing = BLAMELESS;
  /** Times ejected. A request that was sent before the last ejection says nothing new: it tells the number that it began with. */
  ejections = 0;
  readonly #rules: Outliers;
  readonly #place: BoardPlace;
  /** How many are out, this one included. */
  readonly #out: () => number;
  readonly #most: number;

  constructor(rules: Outliers, place: BoardPlace, most: number, out: () => number) {
    this.#rules = rules;
    this.#place = place;
    this.#most = most;
    this.#out = out;
  }

  sent(now: number): void {
    this.standing = afterSend(this.standing, now);
  }

  /** An answer has begun well. */
  begun(ejections: number): void {
    if (ejections === this.ejections) this.standing = afterBeginning(this.standing, this.#rules);
  }

  /** An answer has ended well. */
  good(ejections: number): void {
    if (ejections === this.ejections) this.standing = BLAMELESS;
  }

  bad(ejections: number): void {
    if (ejections !== this.ejections) return;
    const own = this.standing.kind === "in" ? 0 : 1;
    const next = afterFailure(this.standing, this.#rules, performance.now(), this.#out() - own < this.#most);
    if (next.kind === "out" && this.standing.kind !== "out") {
      this.ejections++;
      this.#place.countEjection();
    }
    this.standing = next;
  }

  /** A request has ended that says nothing. */
  nothing(ejections: number): void {
    if (ejections === this.ejections) this.standing = afterNothing(this.standing, performance.now());
  }
}

/** An endpoint among those of its upstream. */
interface Seat<P> {
  readonly pool: P;
  readonly place: BoardPlace;
  /** Undefined where nothing is to be learned: ejection is off, or there is nobody else. */
  readonly record: EndpointRecord | undefined;
  /** Number of the choice that last fell on it. */
  turn: number;
}

/** The endpoints of an upstream, and whose turn it is. */
export class EndpointGroup<P extends EndpointState> {
  readonly seats: readonly [Seat<P>, ...Seat<P>[]];
  #turns = 0;

  /** `pools` and `places` stand in the order of the endpoints. */
  constructor({ name, outliers }: UpstreamConfig, pools: readonly P[], places: readonly BoardPlace[]) {
    const most = mostEjected(outliers, pools.length);
    const watched = pools.length > 1 && outliers.consecutive > 0 && most > 0;
    const out = (): number =>
      this.seats.reduce((sum, { record }) => sum + (record === undefined || record.standing.kind === "in" ? 0 : 1), 0);
    const [first, ...others] = pools.flatMap((pool, index) => {
      const place = places[index];
      return place === undefined
        ? []
        : [{ pool, place, record: watched ? new EndpointRecord(outliers, place, most, out) : undefined, turn: 0 }];
    });
    if (first === undefined) throw new Error(`upstream ${name} has no endpoint`);
    this.seats = [first, ...others];
  }

  /**
   * The least loaded endpoint that is healthy, not ejected and could be connected to of late; among equals in turn. If none is, the least
   * bad: all that are unhealthy or ejected are the same then, for a check or a count may err, and an upstream without endpoints answers nobody.
   */
  choose(): Seat<P> {
    const { seats } = this;
    const [first] = seats;
    if (seats.length === 1) return first;
    // Read only when somebody has failed.
    let now = 0;
    let best = first;
    let bestScore = Infinity;
    for (const seat of seats) {
      const { pool, record, place } = seat;
      let score = pool.load;
      if (pool.shunnedUntil !== 0) {
        now ||= performance.now();
        if (pool.shunnedUntil > now) score += SHUNNED;
        else pool.shunnedUntil = 0;
      }
      if (place.unhealthy) score += UNFIT;
      else if (record !== undefined && record.standing.kind !== "in") {
        now ||= performance.now();
        if (!isFit(record.standing, now)) score += UNFIT;
      }
      // Whoever has waited longest, or the next in line would have the turns of one that is left out besides its own.
      if (score < bestScore || (score === bestScore && seat.turn < best.turn)) {
        best = seat;
        bestScore = score;
      }
    }
    best.turn = ++this.#turns;
    if (best.record !== undefined && best.record.standing.kind !== "in") best.record.sent(now || performance.now());
    return best;
  }
}
