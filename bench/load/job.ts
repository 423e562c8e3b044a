import { writeFile } from "node:fs/promises";
import path from "node:path";

/** Users of the job; each request names one of them. */
const USERS = 512;

/** Files with the messages that a generator sends: each after its length as a little-endian 32-bit number. */
export interface JobFiles {
  readonly requests: string;
  readonly answers: string;
}

/** The job that every contender does: a POST of 1 kB of JSON with a user id, answered with 1 kB by either of two upstreams. */
export async function writeJob(directory: string): Promise<JobFiles> {
  const files = { requests: path.join(directory, "requests"), answers: path.join(directory, "answers") };
  await writeFile(files.requests, framed(Array.from({ length: USERS }, (_, index) => requestOf(index))));
  await writeFile(files.answers, framed(["stable", "candidate"].map(answerOf)));
  return files;
}

function requestOf(index: number): string {
  const user = `user-${Math.imul(index + 1, 2654435761) >>> 0}`;
  const body = JSON.stringify({
    cv_data: { competences: ["Python", "SQL", "Kubernetes", "Go"], annees_experience: index % 20 },
    job_data: Array.from({ length: 6 }, (_, job) => ({
      id: index * 10 + job,
      titre: `Ingénieur logiciel ${job}`,
      entreprise: "Exemple SA",
      competences: ["Python", "SQL", "Linux"],
      localisation: "Paris",
    })),
    reference: "x".repeat(160),
  });
  return [
    "POST /api/match HTTP/1.1",
    "Host: bench.example",
    "User-Agent: bench/1.0",
    "Accept: application/json",
    "Content-Type: application/json",
    `X-User-ID: ${user}`,
    "X-Request-ID: 5f0c9a7e-1b2c-4d3e-8f90-abcdef012345",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}

function answerOf(arm: string): string {
  const body = JSON.stringify({
    success: true,
    matches: Array.from({ length: 7 }, (_, index) => ({
      offer_id: 4711 + index,
      overall_score: 0.93 - index / 20,
      confidence: 0.95,
      explanation: `Offer ${index}: skills, experience and place`,
    })),
    algorithm_used: "auto",
    execution_time_ms: 11.82,
  });
  return [
    "HTTP/1.1 200 OK",
    "Server: upstream",
    "Date: Sun, 01 Nov 2026 10:00:00 GMT",
    "Content-Type: application/json; charset=utf-8",
    `X-Backend: ${arm}`,
    "Cache-Control: no-store",
    "Connection: keep-alive",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}

function framed(messages: readonly string[]): Buffer {
  return Buffer.concat(
    messages.flatMap((message) => {
      const bytes = Buffer.from(message);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}
