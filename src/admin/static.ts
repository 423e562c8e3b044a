import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
import type { Answer, FileAnswer } from "./call.ts";

/** What a browser is given besides the API: the built dashboard, read into memory once. */
export interface Pages {
  /** The page, or one that says how to build it. */
  page(headers: IncomingHttpHeaders): Answer | FileAnswer;
  /** A file that the page asks for; undefined: there is no such file. */
  asset(name: string, headers: IncomingHttpHeaders): FileAnswer | undefined;
}

/** One file in the forms in which it can be sent. */
interface StaticFile {
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly plain: Form;
  /** By content coding, the best first. */
  readonly coded: readonly (readonly [coding: string, form: Form])[];
}

interface Form {
  readonly bytes: Buffer;
  readonly etag: string;
}

/** Nothing from elsewhere, nothing written into the page itself, and in nobody's frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const PAGE_HEADERS = {
  "content-security-policy": POLICY,
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};
/** It names the files of the day: it is asked for anew each time. */
const NO_CACHE = { "cache-control": "no-cache" };
/** What has its content in its name never changes. */
const FOR_EVER = { "cache-control": "public, max-age=31536000, immutable" };

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  ico: "image/x-icon",
  js: "text/javascript; charset=utf-8",
  json: "application/json; charset=utf-8",
  png: "image/png",
  svg: "image/svg+xml",
  woff2: "font/woff2",
};
const CODINGS = [
  ["br", "br"],
  ["gz", "gzip"],
] as const;
/** A content hash somewhere in the name. */
const HASHED = /[-.][A-Za-z0-9_]{8,}\.[a-z0-9]+$/;

/** Where the build puts the dashboard: beside the compiled program, which is also where a program that runs from its sources finds it. */
export function builtDashboard(): string {
  return join(import.meta.dirname, import.meta.url.endsWith(".ts") ? "../../dist/dashboard" : "../dashboard");
}

/** Reads the files of a built dashboard. A folder that is not there has none; nothing outside what was read can be asked for. */
export async function readPages(folder: string): Promise<Pages> {
  const page = await readForms(folder, "index.html", NO_CACHE);
  const assets = join(folder, "assets");
  const names = await readdir(assets).catch(() => []);
  const files = new Map<string, StaticFile>();
  for (const name of names) {
    if (CODINGS.some(([ending]) => name.endsWith(`.${ending}`))) continue;
    const file = await readForms(assets, name, HASHED.test(name) ? FOR_EVER : NO_CACHE);
    if (file !== undefined) files.set(name, file);
  }
  return {
    page: (headers) => (page === undefined ? notBuilt() : answerWith(page, headers)),
    asset(name, headers) {
      const file = files.get(name);
      return file && answerWith(file, headers);
    },
  };
}

/** Undefined: it cannot be read, or nobody would know what it is. */
async function readForms(folder: string, name: string, caching: Readonly<Record<string, string>>): Promise<StaticFile | undefined> {
  const contentType = TYPES[name.slice(name.lastIndexOf(".") + 1)];
  const plain = await readFile(join(folder, name)).catch(() => undefined);
  if (contentType === undefined || plain === undefined) return undefined;
  const hash = createHash("sha256").update(plain).digest("base64url").slice(0, 20);
  const coded = await Promise.all(
    CODINGS.map(async ([ending, coding]) => {
      const bytes = await readFile(join(folder, `${name}.${ending}`)).catch(() => undefined);
      return bytes === undefined ? [] : [[coding, { bytes, etag: `"${hash}-${coding}"` }] as const];
    }),
  );
  return { contentType, headers: { ...PAGE_HEADERS, ...caching }, plain: { bytes: plain, etag: `"${hash}"` }, coded: coded.flat() };
}

function answerWith({ contentType, headers, plain, coded }: StaticFile, asked: IncomingHttpHeaders): FileAnswer {
  const accepted = asked["accept-encoding"] ?? "";
  const [coding, form] = coded.find(([name]) => accepts(accepted, name)) ?? [undefined, plain];
  const all = {
    ...headers,
    etag: form.etag,
    ...(coded.length === 0 ? {} : { vary: "accept-encoding" }),
    ...(coding === undefined ? {} : { "content-encoding": coding }),
  };
  if (isKnown(asked["if-none-match"], form.etag)) return { status: 304, contentType, bytes: Buffer.alloc(0), headers: all };
  return { status: 200, contentType, bytes: form.bytes, headers: all };
}

function isKnown(header: string | undefined, etag: string): boolean {
  return (header ?? "").split(",").some((each) => each.trim().replace(/^W\//, "") === etag || each.trim() === "*");
}

/** `gzip;q=0` refuses it; `*` is no word for a coding by name, as far as browsers go. */
function accepts(header: string, coding: string): boolean {
  return header
    .toLowerCase()
    .split(",")
    .some((each) => {
      const [name = "", ...parameters] = each.split(";").map((part) => part.trim());
      return name === coding && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    });
}

function notBuilt(): Answer {
  return {
    status: 200,
    contentType: "text/html; charset=utf-8",
    text: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>crossfade</title></head>
<body><main><h1>The dashboard has not been built</h1>
<p>Run <code>npm run dashboard</code> in the project's folder, then restart the program.</p>
<p>Everything that it shows is also there as JSON: <a href="/api">the list of what this address answers</a>.</p></main></body></html>
`,
    headers: { ...PAGE_HEADERS, ...NO_CACHE },
  };
}
