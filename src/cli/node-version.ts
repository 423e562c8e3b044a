/**
 * What to tell the user of a Node that is too old; undefined when it will do. This file and main.ts are read by such a
 * Node before it can be refused, so they keep to a syntax that any Node with modules understands.
 */
export function versionProblem(version: string, program: string): string | undefined {
  const parts = version.split(".").map(Number);
  const major = parts[0] || 0;
  const minor = parts[1] || 0;
  if (major > 24 || (major === 24 && minor >= 12)) return undefined;
  return `crossfade needs Node.js 24.12 or newer; this is ${version} (${program}). Install a newer one, or run the container image.`;
}
