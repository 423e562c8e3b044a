import type { Id } from "./canonical.ts";
import type { Read, Written } from "./dialect.ts";
import { isArray, isDeep, isEmpty, isObject, MAX_DEPTH, type Json, type JsonObject } from "./json.ts";

/** What a dialect cannot say. It never leaves the functions `reading` and `writing`. */
export class Unsayable extends Error {
  override readonly name = "Unsayable";
}

/** Runs a reader; what it throws by `Unsayable` becomes a sentence. */
export function reading<T>(read: (drops: Set<string>) => T): Read<T> {
  const drops = new Set<string>();
  try {
    return { value: read(drops), dropped: [...drops] };
  } catch (error) {
    if (error instanceof Unsayable) return { inexpressible: error.message };
    throw error;
  }
}

/** Runs a writer; what it throws by `Unsayable` becomes a sentence. */
export function writing(write: (drops: Set<string>) => Json): Written {
  const result = reading(write);
  return "inexpressible" in result ? result : { body: result.value, dropped: result.dropped };
}

/** What is known of one kind of object: where it stands, which of its fields are read, and which have no counterpart. */
export interface Shape {
  readonly at: string;
  readonly read: ReadonlySet<string>;
  /** The pointer of every known field. */
  readonly pointers: ReadonlyMap<string, string>;
  /** The name that all unknown fields go under: names must form a closed set, for they are counted by name. */
  readonly others: string;
}

export function shapeOf(at: string, read: readonly string[], lost: readonly string[] = []): Shape {
  const pointers = new Map([...read, ...lost].map((name) => [name, `${at}/${name}`]));
  return { at, read: new Set(read), pointers, others: `${at}/?` };
}

/** No score, salary or duration is larger; what is could become infinite on another scale, and JSON has no infinity. */
const MAX_FIGURE = 1e15;

/**
 * The fields of one object, each of the type asked for. What is null counts as absent; what is of another type, or is
 * not read at all, is dropped by name.
 */
export class Fields {
  readonly #object: JsonObject;
  readonly #shape: Shape;
  readonly #drops: Set<string>;

  constructor(object: JsonObject, shape: Shape, drops: Set<string>) {
    this.#object = object;
    this.#shape = shape;
    this.#drops = drops;
    for (const key of Object.keys(object)) {
      if (!shape.read.has(key) && !isEmpty(object[key])) drops.add(shape.pointers.get(key) ?? shape.others);
    }
  }

  drop(name: string): undefined {
    if (!isEmpty(this.#object[name])) this.#drops.add(`${this.#shape.at}/${name}`);
  }

  raw(name: string): Json | undefined {
    return this.#object[name] ?? undefined;
  }

  text(name: string): string | undefined {
    const value = this.#object[name];
    return typeof value === "string" ? value : this.drop(name);
  }

  number(name: string): number | undefined {
    const value = this.#object[name];
    return typeof value === "number" && Math.abs(value) <= MAX_FIGURE ? value : this.drop(name);
  }

  boolean(name: string): boolean | undefined {
    const value = this.#object[name];
    return typeof value === "boolean" ? value : this.drop(name);
  }

  object(name: string): JsonObject | undefined {
    const value = this.#object[name];
    return isObject(value) ? value : this.drop(name);
  }

  /** An object that is carried as it is. */
  whole(name: string): JsonObject | undefined {
    const value = this.object(name);
    if (value !== undefined) mustBeShallow(value, `${this.#shape.at}/${name}`);
    return value;
  }

  list(name: string): readonly Json[] | undefined {
    const value = this.#object[name];
    return isArray(value) ? value : this.drop(name);
  }

  /** The texts of a list; what else is in it is dropped. */
  texts(name: string): readonly string[] | undefined {
    const texts: string[] = [];
    const list = this.list(name);
    if (list === undefined) return undefined;
    for (const entry of list) {
      if (typeof entry === "string") texts.push(entry);
      else if (!isEmpty(entry)) this.#drops.add(`${this.#shape.at}/${name}/*`);
    }
    return texts;
  }
}

export function mustBeShallow(value: Json, at: string): void {
  if (isDeep(value)) throw new Unsayable(`${at} is nested deeper than ${MAX_DEPTH} levels`);
}

/** The body as an object, or the sentence that says what it is not. */
export function bodyOf(body: Json, what: string): JsonObject {
  if (isObject(body)) return body;
  throw new Unsayable(`the ${what} is not a JSON object`);
}

/** The objects of a list that must be there. */
export function objectsAt(body: JsonObject, name: string, at: string): readonly JsonObject[] {
  const list = body[name];
  if (!isArray(list)) throw new Unsayable(list === undefined ? `${at} is missing` : `${at} is not a list`);
  return list.map((entry, index) => {
    if (isObject(entry)) return entry;
    throw new Unsayable(`${at}/${index} is not an object`);
  });
}

/** An id as it was written. A number that a double would alter, or a fraction, is no id. */
export function idOf(object: JsonObject, name: string, at: string, index: number): Id {
  const value = object[name];
  if (typeof value === "string") return value;
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  if (JSON.isRawJSON(value)) return value;
  const place = `${at}/${index}/${name}`;
  throw new Unsayable(value === undefined || value === null ? `${place} is missing` : `${place} is neither a text nor a whole number`);
}

/** Adds the canonical fields of `value` that are not carried over, by name. */
export function lose(value: object, at: string, carried: ReadonlySet<string>, drops: Set<string>): void {
  for (const name of Object.keys(value)) {
    // A key of an object leads to something of it, whatever that is.
    if (!carried.has(name) && !isEmpty((value as Readonly<Record<string, unknown>>)[name])) drops.add(`${at}/${name}`);
  }
}

type Given<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The fields that have a value: in the canonical model a field that was not said is not there. */
export function given<T extends object>(fields: T): Given<T> {
  // The loop loses the types; what is left is by construction what the type says.
  const from = fields as Readonly<Record<string, unknown>>;
  const to: Record<string, unknown> = {};
  for (const name of Object.keys(from)) {
    if (from[name] === undefined) continue;
    // A client may call a field so, and assigning it would set the prototype.
    if (name === "__proto__") Object.defineProperty(to, name, { value: from[name], enumerable: true });
    else to[name] = from[name];
  }
  return to as Given<T>;
}

/** The score of a match, without which it says nothing. */
export function scoreOf(score: number | undefined, at: string, index: number): number {
  if (score === undefined) throw new Unsayable(`${at}/${index} has no score`);
  return score;
}

/** True where one of the two says so. */
export function either(one: boolean | undefined, other: boolean | undefined): boolean | undefined {
  return one === true || other === true ? true : (one ?? other);
}
