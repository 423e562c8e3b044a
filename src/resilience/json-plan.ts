import { stands, textOf } from "./json-text.ts";

export interface Step {
  /** `*` stands for every element. */
  readonly name: string;
  /** The name as it usually stands in a document. */
  readonly bytes: Uint8Array;
  /** The element of an array that is meant; -1 for none. */
  readonly index: number;
}

/** The steps of a JSON pointer (RFC 6901); `*` stands for every element. */
export function pointerSteps(pointer: string): readonly Step[] {
  if (pointer === "") return [];
  return pointer
    .slice(1)
    .split("/")
    .map((part) => {
      const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
      return { name, bytes: Buffer.from(name), index: /^(?:0|[1-9]\d{0,9})$/.test(name) ? Number(name) : -1 };
    });
}

/** What is to be found in a document: a tree that follows every pointer at once. */
export interface Plan {
  readonly root: Place;
  /** The number of pointers; each has a slot of that number. */
  readonly slots: number;
}

/** Somewhere in a document that a pointer leads to or through. */
export interface Place {
  /** Of the pointers that end here. */
  readonly slots: readonly number[];
  /** No pointer leads further. */
  readonly last: boolean;
  /** By the lengths of their names, in bytes. */
  readonly edges: readonly Edge[];
  /** The first of the edges whose names are so long, counted from 1; 0 for none. What is longer stands under the last. */
  readonly byLength: Uint16Array;
  /** An edge leads to an element of an array by its number. */
  readonly counted: boolean;
  /** Where an element leads that no edge names. */
  readonly others: Place | undefined;
}

export interface Edge {
  readonly step: Step;
  readonly to: Place;
  /** Slots of the pointers that lead here by this name, not by a star: what an earlier member of the name has given them is void. */
  readonly named: readonly number[];
}

/** Slots are numbered as the pointers stand. */
export function createPlan(pointers: readonly string[]): Plan {
  const paths = pointers.map((pointer) => pointerSteps(pointer));
  // Where a star and a name stand side by side, one place serves both; a place is known by the pointers that pass it.
  const places = new Map<string, Place>();
  const placeOf = (slots: readonly number[], depth: number): Place => {
    const key = `${depth}:${slots.join()}`;
    const known = places.get(key);
    if (known !== undefined) return known;
    const stepOf = (slot: number): Step | undefined => paths[slot]?.[depth];
    const starred = slots.filter((slot) => stepOf(slot)?.name === "*");
    const edges = new Map<string, Edge>();
    for (const slot of slots) {
      const step = stepOf(slot);
      if (step === undefined || step.name === "*" || edges.has(step.name)) continue;
      const named = slots.filter((other) => stepOf(other)?.name === step.name);
      edges.set(step.name, {
        step,
        named,
        to: placeOf(
          [...starred, ...named].toSorted((a, b) => a - b),
          depth + 1,
        ),
      });
    }
    const sorted = [...edges.values()].toSorted((a, b) => a.step.bytes.length - b.step.bytes.length);
    const byLength = new Uint16Array(LONG + 1);
    for (const [index, { step }] of sorted.entries()) byLength[lengthClass(step.bytes.length)] ||= index + 1;
    const place: Place = {
      slots: slots.filter((slot) => stepOf(slot) === undefined),
      last: starred.length === 0 && edges.size === 0,
      edges: sorted,
      byLength,
      counted: sorted.some(({ step }) => step.index >= 0),
      others: starred.length === 0 ? undefined : placeOf(starred, depth + 1),
    };
    places.set(key, place);
    return place;
  };
  return { root: placeOf([...pointers.keys()], 0), slots: pointers.length };
}

/** The edge for the member whose name stands from `at` to `end`, as `stringEnd` gave it. */
export function namedEdge(place: Place, bytes: Uint8Array, at: number, end: number): Edge | undefined {
  if (end < 0) {
    const name = textOf(bytes, at, end);
    return place.edges.find(({ step }) => step.name === name);
  }
  // Most names lead nowhere, and most of these have a length that no edge has.
  const length = end - at - 2;
  let index = place.byLength[lengthClass(length)] ?? 0;
  if (index === 0) return undefined;
  for (; index <= place.edges.length; index++) {
    const edge = place.edges[index - 1];
    if (edge === undefined || edge.step.bytes.length > length) return undefined;
    if (edge.step.bytes.length === length && stands(bytes, at + 1, edge.step.bytes)) return edge;
  }
  return undefined;
}

/** Lengths of names are told apart up to this. */
const LONG = 63;

function lengthClass(length: number): number {
  return length < LONG ? length : LONG;
}

/** Where the element of that number leads. */
export function elementPlace(place: Place, index: number): Place | undefined {
  if (place.counted) for (const { step, to } of place.edges) if (step.index === index) return to;
  return place.others;
}
