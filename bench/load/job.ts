import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";

/** Users of a job; each request names one of them. */
const USERS = 512;

/** What is asked and answered. */
export interface Job {
  /** Bytes of JSON in the body of a request; 0: a GET without one. */
  readonly requestBytes: number;
  /** Bytes of JSON in the body of an answer. The `confidence` of each of its `matches` is its quality. */
  readonly answerBytes: number;
  /** Further header lines of a user's request. */
  readonly fields?: (user: string) => readonly string[];
}

/** The usual job: a POST of 1 kB of JSON with a user id, answered with 1 kB by either of two upstreams. */
export const USUAL: Job = { requestBytes: 1_000, answerBytes: 1_000 };

/** Files for a generator, as its `load` reads them. */
export interface JobFiles {
  readonly requests: string;
  readonly answers: string;
}

/** `directory` is made, for this job alone. */
export async function writeJob(directory: string, job: Job): Promise<JobFiles> {
  await mkdir(directory, { recursive: true });
  const files = { requests: path.join(directory, "requests"), answers: path.join(directory, "answers") };
  const body = job.requestBytes === 0 ? "" : requestBody(job.requestBytes);
  const heads = Array.from({ length: USERS }, (_, index) => requestHead(userOf(index), body.length, job.fields ?? (() => [])));
  await writeFile(files.requests, framed([body, ...heads]));
  await writeFile(files.answers, framed(["stable", "candidate"].map((arm) => answerOf(arm, job.answerBytes))));
  return files;
}

function userOf(index: number): string {
  return `user-${Math.imul(index + 1, 2654435761) >>> 0}`;
}

function requestHead(user: string, bodyBytes: number, fields: (user: string) => readonly string[]): string {
  return [
    `${bodyBytes === 0 ? "GET" : "POST"} /api/match HTTP/1.1`,
    "Host: bench.example",
    "User-Agent: bench/1.0",
    "Accept: application/json",
    ...(bodyBytes === 0 ? [] : ["Content-Type: application/json", `Content-Length: ${bodyBytes}`]),
    `X-User-ID: ${user}`,
    "X-Request-ID: 5f0c9a7e-1b2c-4d3e-8f90-abcdef012345",
    ...fields(user),
    "",
    "",
  ].join("\r\n");
}

function requestBody(bytes: number): string {
  const offer = (index: number): unknown => ({
    id: 4711 + index,
    title: `Engineer ${index}`,
    company: "Example Ltd",
    skills: ["Python", "SQL", "Linux"],
    place: "Paris",
  });
  const cv = { skills: ["Python", "SQL", "Kubernetes", "Go"], years: 7 };
  return filled(bytes, offer, (job_data, padding) => JSON.stringify({ cv_data: cv, job_data, padding }));
}

function answerOf(arm: string, bytes: number): string {
  const match = (index: number): unknown => ({
    offer_id: 4711 + index,
    overall_score: 0.93,
    confidence: 0.95,
    explanation: `Offer ${index}: skills, experience and place`,
  });
  const body = filled(bytes, match, (matches, padding) =>
    JSON.stringify({ success: true, matches, algorithm_used: "auto", execution_time_ms: 11.82, padding }),
  );
  return [
    "HTTP/1.1 200 OK",
    "Server: upstream",
    "Date: Sun, 01 Nov 2026 10:00:00 GMT",
    "Content-Type: application/json; charset=utf-8",
    `X-Backend: ${arm}`,
    "Cache-Control: no-store",
    "Connection: keep-alive",
    `Content-Length: ${body.length}`,
    "",
    body,
  ].join("\r\n");
}

/** JSON of exactly so many bytes, in ASCII: as many elements as there is room for, and a text that pads the rest. */
function filled(
  bytes: number,
  element: (index: number) => unknown,
  render: (elements: readonly unknown[], padding: string) => string,
): string {
  const elements: unknown[] = [];
  for (let room = bytes - render([], "").length; ; elements.push(element(elements.length))) {
    room -= JSON.stringify(element(elements.length)).length + 1;
    if (room < 0) break;
  }
  return render(elements, "x".repeat(Math.max(0, bytes - render(elements, "").length)));
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
