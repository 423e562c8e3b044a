/** What every peer is started with: `node peer.mjs PORT STABLE_PORT CANDIDATE_PORT WEIGHT`. */
const [port, stable, candidate, weight] = process.argv.slice(2).map(Number);

export { port };
export const stableOrigin = `http://127.0.0.1:${stable}`;
export const candidateOrigin = `http://127.0.0.1:${candidate}`;

/** The same split as everybody's: a hash of the user id (FNV-1a), sticky, `weight` percent on the candidate. */
export function originOf(user) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < user.length; i++) hash = Math.imul(hash ^ user.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 15;
  return (hash >>> 0) % 100 < weight ? candidateOrigin : stableOrigin;
}
