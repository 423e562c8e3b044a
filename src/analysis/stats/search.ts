/** The boundary between `true` (on the side of `yes`) and `false` (on the side of `no`), seen from the side of `yes`. */
export function boundary(yes: number, no: number, holds: (x: number) => boolean, rounds = 60): number {
  let sure = yes;
  let other = no;
  for (let round = 0; round < rounds; round++) {
    const middle = (sure + other) / 2;
    if (middle === sure || middle === other) break;
    if (holds(middle)) sure = middle;
    else other = middle;
  }
  return sure;
}

/** The least whole number in `from..to` for which something holds that holds for every greater one too; undefined if it holds for none. */
export function least(from: number, to: number, holds: (k: number) => boolean): number | undefined {
  // Expected counts are no whole numbers, and in between there would be no middle.
  let found = Math.floor(to);
  if (from > found || !holds(found)) return undefined;
  let below = Math.ceil(from) - 1;
  while (found - below > 1) {
    const middle = Math.floor((below + found) / 2);
    if (holds(middle)) found = middle;
    else below = middle;
  }
  return found;
}
