import t from "tap";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";

/** Lowest first. A file imports its own folder and lower ones; folders on one line never each other. Types count. */
const LAYERS: readonly (readonly string[])[] = [
  ["core"],
  ["monitoring"],
  ["config"],
  ["rollout", "resilience", "dialects", "http"],
  ["telemetry"],
  ["store"],
  ["transport"],
  ["proxy"],
  ["analysis"],
  ["controller"],
  ["incidents"],
  ["sla"],
  ["notify"],
  ["status-page"],
  ["admin"],
  ["app"],
  ["demo"],
  ["cli"],
  ["dashboard"],
];

const ROOT = join(import.meta.dirname, "..", "src");
const LEVEL = new Map(LAYERS.flatMap((folders, level) => folders.map((folder) => [folder, level] as const)));

const files = globSync("**/*.{ts,tsx}", { cwd: ROOT });

t.test("every file stands in a known folder", async (t) => {
  const strays = files.filter((file) => !LEVEL.has(file.split(sep)[0] ?? ""));
  t.same(strays, []);
  t.ok(files.length > 50, `${files.length} files were read`);
});

t.test("nothing imports upwards or sideways", async (t) => {
  const wrong: string[] = [];
  for (const file of files) {
    const [from = ""] = file.split(sep);
    const text = readFileSync(join(ROOT, file), "utf8");
    for (const [, target = ""] of text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
      const [to = ""] = normalize(join(dirname(file), target)).split(sep);
      const allowed = to === from || (LEVEL.get(to) ?? Infinity) < (LEVEL.get(from) ?? -1);
      if (!allowed) wrong.push(`${file} imports ${target}`);
    }
  }
  t.same(wrong, []);
});

t.test("engines are known inside the transport folder only", async (t) => {
  const wrong = files.filter(
    (file) => !file.startsWith("transport") && /transport\/(?:node|wire)\//.test(readFileSync(join(ROOT, file), "utf8")),
  );
  t.same(wrong, []);
});
