import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";
import { type IncomingHttpHeaders, request } from "node:http";
import t, { type Test } from "tap";
import { startAdmin } from "../src/admin/server.ts";
import { builtDashboard } from "../src/admin/static.ts";
import { temporaryDirectory } from "./support/app.ts";
import { createFakeOperations } from "./support/fake-operations.ts";

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

const BROWSER = { accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };
const PAGE = "<!doctype html><title>the page</title>";
const SCRIPT = `console.log(${JSON.stringify("é".repeat(500))})`;

interface Site {
  get(path: string, headers?: Readonly<Record<string, string>>, method?: string): Promise<Reply>;
}

async function open(test: Test, { folder, ...access }: { folder?: string; token?: string; host?: string } = {}): Promise<Site> {
  const admin = await startAdmin(createFakeOperations(), {
    host: "127.0.0.1",
    token: undefined,
    ...access,
    port: 0,
    dashboard: folder ?? (await built(test)),
  });
  test.teardown(() => admin.close());
  return {
    get: (path, headers = BROWSER, method = "GET") =>
      new Promise((resolve, reject) => {
        const sent = request({ host: "127.0.0.1", port: admin.port, path, method, headers, agent: false }, (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes: Buffer.concat(chunks) }));
        });
        sent.on("error", reject).end();
      }),
  };
}

async function built(test: Test): Promise<string> {
  const folder = await temporaryDirectory(test);
  await mkdir(join(folder, "assets", "deeper"), { recursive: true });
  const write = (name: string, bytes: string | Buffer): Promise<void> => writeFile(join(folder, name), bytes);
  await write("index.html", PAGE);
  await write("index.html.gz", gzipSync(PAGE));
  await write("assets/main-0a1b2c3d4e.js", SCRIPT);
  await write("assets/main-0a1b2c3d4e.js.gz", gzipSync(SCRIPT));
  await write("assets/main-0a1b2c3d4e.js.br", brotliCompressSync(SCRIPT));
  await write("assets/main-0a1b2c3d4e.css", "body { color: red }");
  await write("assets/plain.svg", "<svg/>");
  await write("assets/notes.txt", "for nobody");
  await write("secret.json", "{}");
  await write("assets/deeper/secret.js", "1");
  return folder;
}

t.test("a browser is given the page, everybody else the list of what there is", async (t) => {
  const { get } = await open(t);
  const page = await get("/");
  t.equal(page.bytes.toString(), PAGE);
  t.match(page.headers, { "content-type": "text/html; charset=utf-8", "cache-control": "no-cache" });
  for (const accept of ["*/*", "text/plain", "application/json"]) {
    const list = await get("/", { accept });
    t.match(list.headers["content-type"], /^text\/plain/, accept);
    t.match(list.bytes.toString(), /GET +\/api\/live /);
  }
  t.match((await get("/", {})).headers["content-type"], /^text\/plain/, "no Accept at all");
  t.match((await get("/api")).bytes.toString(), /PATCH +\/api\/flags\/\{flag\}/, "the list has a place of its own");
  t.equal((await get("/", BROWSER, "POST")).status, 405);
  t.match((await get("/nothing")).bytes.toString(), /GET \/api lists/);
});

t.test("the page may run its own files alone, and stand in nobody's frame", async (t) => {
  const { get } = await open(t);
  for (const path of ["/", "/assets/main-0a1b2c3d4e.js"]) {
    const { headers } = await get(path);
    t.equal(
      headers["content-security-policy"],
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      path,
    );
    t.match(headers, { "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" });
  }
  t.equal(
    (await get("/api/status")).headers["content-security-policy"],
    "default-src 'none'; frame-ancestors 'none'",
    "the API runs nothing",
  );
});

t.test("files with their content in the name are kept for ever, others are asked for again", async (t) => {
  const { get } = await open(t);
  const script = await get("/assets/main-0a1b2c3d4e.js");
  t.equal(script.bytes.toString(), SCRIPT);
  t.match(script.headers, {
    "content-type": "text/javascript; charset=utf-8",
    "cache-control": "public, max-age=31536000, immutable",
    "content-length": String(Buffer.byteLength(SCRIPT)),
    vary: "accept-encoding",
  });
  t.match((await get("/assets/main-0a1b2c3d4e.css")).headers["content-type"], "text/css; charset=utf-8");
  t.match((await get("/assets/plain.svg")).headers, { "content-type": "image/svg+xml", "cache-control": "no-cache", vary: undefined });
  const page = await get("/");
  const again = (etag: string | undefined) => get("/", { ...BROWSER, "if-none-match": etag ?? "" });
  const known = await again(page.headers.etag);
  t.match(known, { status: 304, headers: { etag: page.headers.etag, "content-length": undefined } });
  t.equal(known.bytes.length, 0);
  t.equal((await again(`"other", W/${page.headers.etag ?? ""}`)).status, 304);
  t.equal((await again('"other"')).status, 200);
  const head = await get("/assets/main-0a1b2c3d4e.js", BROWSER, "HEAD");
  t.match(head, { status: 200, headers: { "content-length": script.headers["content-length"] } });
  t.equal(head.bytes.length, 0);
});

t.test("what is there compressed is sent so to whoever takes it", async (t) => {
  const { get } = await open(t);
  const as = (coding: string) => get("/assets/main-0a1b2c3d4e.js", { ...BROWSER, "accept-encoding": coding });
  const brotli = await as("gzip, deflate, br");
  t.equal(brotli.headers["content-encoding"], "br");
  t.equal(brotliDecompressSync(brotli.bytes).toString(), SCRIPT);
  const gzip = await as("gzip;q=0.5, br;q=0");
  t.equal(gzip.headers["content-encoding"], "gzip");
  t.equal(gunzipSync(gzip.bytes).toString(), SCRIPT);
  t.not(gzip.headers.etag, brotli.headers.etag, "each form has a tag of its own");
  for (const coding of ["identity", "gzip;q=0, br;q=0.0", "zip", ""]) {
    const plain = await as(coding);
    t.equal(plain.headers["content-encoding"], undefined, coding);
    t.equal(plain.bytes.toString(), SCRIPT);
  }
});

t.test("nothing but the files of the folder can be had", async (t) => {
  const { get } = await open(t);
  for (const path of [
    "/assets/",
    "/assets/notes.txt",
    "/assets/main-0a1b2c3d4e.js.gz",
    "/assets/deeper/secret.js",
    "/assets/..%2findex.html",
    "/assets/../secret.json",
    "/assets/%2e%2e/secret.json",
    "/assets/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/assets/main-0a1b2c3d4e.js%00",
    "/assets/__proto__",
    "/assets/constructor",
    "/index.html",
    "/secret.json",
  ]) {
    const { status, bytes } = await get(path);
    t.equal(status, 404, path);
    t.notMatch(bytes.toString(), /root:|the page/);
  }
});

t.test("the page needs no token, what it shows does", async (t) => {
  const { get } = await open(t, { token: "s3cret" });
  const elsewhere = { ...BROWSER, host: "crossfade.internal:9090" };
  t.equal((await get("/", elsewhere)).status, 200, "under any name");
  t.equal((await get("/assets/plain.svg", elsewhere)).status, 200);
  for (const path of ["/api", "/api/live", "/api/status"]) t.equal((await get(path, elsewhere)).status, 401, path);
  t.equal((await get("/", { accept: "*/*" })).status, 401, "nor does the list");
});

t.test("without a token the page is this machine's own: a foreign name that leads here gets nothing", async (t) => {
  const { get } = await open(t);
  for (const path of ["/", "/assets/plain.svg", "/api/live"]) {
    const { status, bytes } = await get(path, { ...BROWSER, host: "evil.example" });
    t.equal(status, 403, path);
    t.match(bytes.toString(), /foreign-host/);
  }
  t.equal((await get("/", { ...BROWSER, host: "localhost:9090" })).status, 200);
});

t.test("where nothing was built the page says how to build it", async (t) => {
  const { get } = await open(t, { folder: join(await temporaryDirectory(t), "nowhere") });
  const { status, headers, bytes } = await get("/");
  t.match({ status, headers }, { status: 200, headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-cache" } });
  t.match(bytes.toString(), /npm run dashboard/);
  t.equal((await get("/assets/main-0a1b2c3d4e.js")).status, 404);
  t.match(builtDashboard(), /dist[/\\]dashboard$/);
});
