import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import type { Config } from "../src/config/config.ts";
import { loadConfig, parseConfig, type ParsedConfig } from "../src/config/parse.ts";
import { AUTHORITY, CERTIFICATE, KEY, OTHER_AUTHORITY, OTHER_KEY, WEAK_CERTIFICATE, WEAK_KEY } from "./support/certificate.ts";

const MAIN = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));

/** When the tests' certificates are valid. */
const NOW = Date.UTC(2030, 0, 1);

/** A file with a TLS listener in its line 3 and an upstream with an authority in its line 5. */
const FILE = `
listeners:
  - { address: 127.0.0.1:0, tls: { cert: site.pem, key: site.key } }
upstreams:
  v1: { endpoints: [https://127.0.0.1:5062], tls: { ca: ca.pem } }
routes:
  - { name: all, match: { path: /** }, upstream: v1 }
`;

const GOOD: Readonly<Record<string, string>> = { "site.pem": CERTIFICATE, "site.key": KEY, "ca.pem": AUTHORITY };

/** What is made of a file and of those that it names. */
function parse(files: Readonly<Record<string, string>>, text = FILE, now = NOW): ParsedConfig {
  return parseConfig(text, {}, { now, readFile: (name) => (name in files ? { value: files[name] ?? "" } : { wrong: "is not there" }) });
}

function configOf(parsed: ParsedConfig): Config {
  if ("problems" in parsed) throw new Error(parsed.problems.map(({ path, message }) => `${path}: ${message}`).join("\n"));
  return parsed.config;
}

/** `line path: message` of each problem. */
function problemsOf(parsed: ParsedConfig): string[] {
  return "problems" in parsed ? parsed.problems.map(({ line, path, message }) => `${line} ${path}: ${message}`) : [];
}

function warningsOf(parsed: ParsedConfig): string[] {
  return "warnings" in parsed ? parsed.warnings.map(({ line, path, message }) => `${line} ${path}: ${message}`) : [];
}

t.test("certificates, key and authority are part of the configuration", async (t) => {
  const parsed = parse(GOOD);
  t.strictSame(warningsOf(parsed), []);
  const config = configOf(parsed);
  t.strictSame(config.listeners[0]?.tls, { cert: CERTIFICATE, key: KEY });
  t.equal(config.upstreams[0]?.endpoints[0]?.ca, AUTHORITY);
});

t.test("names are relative to the folder of the configuration file", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "crossfade-tls-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "tls"));
  writeFileSync(join(folder, "tls", "site.pem"), CERTIFICATE);
  writeFileSync(join(folder, "site.key"), KEY);
  writeFileSync(join(folder, "crossfade.yaml"), FILE.replace("site.pem", "tls/site.pem").replace("ca.pem", join(folder, "ca.pem")));
  t.strictSame(problemsOf(await loadConfig(join(folder, "crossfade.yaml"), {})), [
    `5 upstreams.v1.tls.ca: ${JSON.stringify(join(folder, "ca.pem"))} does not exist (looked for ${join(folder, "ca.pem")}; a path is relative to the folder of the configuration file)`,
  ]);
  writeFileSync(join(folder, "ca.pem"), AUTHORITY);
  t.equal(configOf(await loadConfig(join(folder, "crossfade.yaml"), {})).listeners[0]?.tls?.key, KEY);
  writeFileSync(join(folder, "crossfade.yaml"), FILE.replace("site.pem", "tls").replace("site.key", "/dev/zero"));
  t.match(problemsOf(await loadConfig(join(folder, "crossfade.yaml"), {})), [/"tls" is not a file/, /"\/dev\/zero" is not a file/]);
});

t.test("`crossfade check` finds what is wrong with the files, and never prints the key", async (t) => {
  const folder = t.testdir({ "crossfade.yaml": FILE, "site.pem": CERTIFICATE, "site.key": OTHER_KEY });
  const bad = await check(folder);
  t.equal(bad.code, 1);
  t.match(JSON.parse(bad.stdout).problems, [
    { line: 3, path: "listeners[0].tls.key", message: /does not fit the certificate/ },
    { line: 5, path: "upstreams.v1.tls.ca", message: /does not exist/ },
  ]);
  writeFileSync(join(folder, "site.key"), KEY);
  writeFileSync(join(folder, "ca.pem"), AUTHORITY);
  const good = await check(folder);
  t.equal(good.code, 0);
  t.notMatch(bad.stdout + good.stdout, "PRIVATE");
  t.notMatch(good.stdout, KEY.split("\n")[1]);
});

/** `crossfade check --json` in a folder. */
async function check(folder: string): Promise<{ readonly code: number | null; readonly stdout: string }> {
  const child = spawn(process.execPath, [MAIN, "check", "--json"], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  const [code] = await once(child, "close");
  return { code, stdout };
}

t.test("everything that is wrong with the files is said at once, and beside the mistakes of the text", async (t) => {
  const text = FILE.replace("ca.pem", "none.pem").replace("127.0.0.1:0", "8080");
  t.match(problemsOf(parse({ ...GOOD, "site.key": "x" }, text)), [
    /^3 listeners\[0\]\.address: 8080 has no host/,
    /^3 listeners\[0\]\.tls\.key: "site\.key" holds no private key in PEM/,
    /^5 upstreams\.v1\.tls\.ca: "none\.pem" is not there/,
  ]);
});

t.test("what a file holds instead is named, with what to do", async (t) => {
  const key = createPrivateKey(KEY);
  const encrypted = String(key.export({ type: "pkcs8", format: "pem", cipher: "aes-128-cbc", passphrase: "secret" }));
  const encryptedOld = String(key.export({ type: "sec1", format: "pem", cipher: "aes-128-cbc", passphrase: "secret" }));
  const binary = new X509Certificate(CERTIFICATE).raw.toString("latin1");
  const broken = CERTIFICATE.replace(/\n[^\n]{60}/, "\n");
  const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ "site.pem": "" }, /^3 listeners\[0\]\.tls\.cert: "site.pem" holds no certificate in PEM .*openssl x509/],
    [{ "site.pem": binary }, /holds no certificate in PEM/],
    [{ "site.pem": KEY }, /tls\.cert: "site.pem" holds a private key and no certificate; were the two exchanged\?$/],
    [{ "site.pem": broken }, /holds a certificate that cannot be read \(number 1 in the file\)$/],
    [{ "site.pem": CERTIFICATE + broken }, /\(number 2 in the file\)$/],
    [
      { "site.key": CERTIFICATE },
      /^3 listeners\[0\]\.tls\.key: "site.key" holds a certificate and no private key; were the two exchanged\?$/,
    ],
    [{ "site.key": encrypted }, /is encrypted, and there is no place for a passphrase; openssl pkey/],
    [{ "site.key": encryptedOld }, /is encrypted/],
    [{ "site.key": KEY.replace(/\n[^\n]{40}/, "\n") }, /holds a private key that cannot be read$/],
    [{ "site.key": OTHER_KEY }, /tls\.key: "site.key" does not fit the certificate in "site.pem"; name the key/],
    [{ "site.pem": AUTHORITY + CERTIFICATE }, /it fits number 2 in that file, and the server's own must stand first$/],
    [{ "ca.pem": KEY }, /^5 upstreams\.v1\.tls\.ca: "ca.pem" holds a private key/],
  ];
  for (const [files, expected] of cases) {
    const problems = problemsOf(parse({ ...GOOD, ...files }));
    t.match(problems, [expected]);
    t.equal(problems.length, 1, String(expected));
  }
});

t.test("a key that is too weak to be safe is refused before anybody connects", async (t) => {
  t.match(problemsOf(parse({ ...GOOD, "site.pem": WEAK_CERTIFICATE, "site.key": WEAK_KEY })), [
    /^3 listeners\[0\]\.tls\.cert: "site.pem" cannot be used for TLS \(ERR_SSL_EE_KEY_TOO_SMALL\)$/,
  ]);
});

t.test("chain and key may stand in one file, in any order and with words around them", async (t) => {
  const one = `for the site\n${KEY}\nissued in 2026\n${CERTIFICATE}${AUTHORITY}`;
  const text = FILE.replace("site.key", "site.pem");
  t.equal(configOf(parse({ ...GOOD, "site.pem": one.replaceAll("\n", "\r\n") }, text)).listeners.length, 1);
});

t.test("a certificate that clients will refuse by its date is a warning, not a reason not to start", async (t) => {
  const late = parse(GOOD, FILE, Date.UTC(2200, 0, 1));
  configOf(late);
  t.match(warningsOf(late), [
    /^3 listeners\[0\]\.tls\.cert: "site.pem" expired on 21\d\d-\d\d-\d\d; .* renewed$/,
    /^5 .*"ca.pem" expired on/,
  ]);
  t.match(warningsOf(parse(GOOD, FILE, Date.UTC(2001, 0, 1))), [
    /"site.pem" is not valid before 20\d\d-\d\d-\d\d;/,
    /"ca.pem" is not valid before/,
  ]);
  t.equal(warningsOf(parse({ ...GOOD, "ca.pem": AUTHORITY + OTHER_AUTHORITY }, FILE, Date.UTC(2200, 0, 1))).length, 3, "each is looked at");
});

t.test("an authority for backends that are not asked over TLS is a warning", async (t) => {
  t.match(warningsOf(parse(GOOD, FILE.replace("https:", "http:"))), [/^5 upstreams\.v1\.tls: has no effect: no endpoint/]);
});

t.test("HTTP/2 is refused, with what to do instead", async (t) => {
  const listener = (keys: string): string[] => problemsOf(parse(GOOD, FILE.replace("{ address:", `{ ${keys}, address:`)));
  const tls = (keys: string): string[] => problemsOf(parse(GOOD, FILE.replace("{ cert:", `{ ${keys}, cert:`)));
  t.match(listener("http2: true"), [/^3 listeners\[0\]\.http2: HTTP\/2 is not spoken in this version, .* in front$/]);
  t.match(tls("alpn: [h2, http/1.1]"), [/^3 listeners\[0\]\.tls\.alpn: HTTP\/2 is not spoken/]);
  t.match(tls("http2: false"), [/leave the key out/]);
  t.match(problemsOf(parse(GOOD, FILE.replace("{ ca:", "{ http2: true, ca:"))), [
    /^5 upstreams\.v1\.tls\.http2: .*backends are spoken to in HTTP\/1\.1/,
  ]);
});

t.test("half of a pair, or none of it, is a mistake of the text", async (t) => {
  const at = (tls: string): string[] => problemsOf(parse(GOOD, FILE.replace("{ cert: site.pem, key: site.key }", tls)));
  t.match(at("{ cert: site.pem }"), [/^3 listeners\[0\]\.tls\.key: is missing; expected the path of a file in PEM/]);
  t.match(at("{}"), [/tls\.cert: is missing/, /tls\.key: is missing/]);
  t.match(at('{ cert: "", key: site.key }'), [/tls\.cert: is empty/]);
  t.match(at("site.pem"), [/^3 listeners\[0\]\.tls: expected a mapping such as \{ cert: tls\/site\.pem/]);
});

t.test("a text that stands in no folder cannot name files", async (t) => {
  t.match(problemsOf(parseConfig(FILE, {})), [/cannot be read, since this configuration does not come from a file/]);
});

t.test("no contents of the files make the parser throw, and none of the key is repeated", async (t) => {
  const part = fc.constantFrom(
    ...CERTIFICATE.split("\n"),
    ...KEY.split("\n"),
    CERTIFICATE,
    KEY,
    "-----BEGIN ",
    "ENCRYPTED PRIVATE KEY-----",
  );
  const contents = fc.array(fc.oneof(part, fc.string()), { maxLength: 8 }).map((parts) => parts.join("\n"));
  const secret = KEY.split("\n")[1] ?? "";
  fc.assert(
    fc.property(contents, contents, contents, (cert, key, ca) => {
      const parsed = parse({ "site.pem": cert, "site.key": key, "ca.pem": ca });
      return !problemsOf(parsed).join("\n").includes(secret);
    }),
    { numRuns: 200 },
  );
  t.pass();
});
