/** The value of `--name`. @throws where it is no whole number above 0. */
export function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${name}: expected a whole number above 0, got ${JSON.stringify(text)}`);
}
