import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const SOURCE = import.meta.dirname;

/**
 * Makes the page into files to be served as they are: index.html, and beside it `assets/` with names that change with their content, so that
 * browsers may keep them for ever. Everything also stands there compressed. What stood in `target` before is gone. Returns the compressed size, bytes.
 */
export async function buildDashboard(target: string): Promise<number> {
  const { outputFiles, metafile } = await build({
    entryPoints: { main: join(SOURCE, "main.tsx"), page: join(SOURCE, "page.css") },
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    target: ["chrome120", "firefox121", "safari17"],
    outdir: target,
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  // Made beside and then put in place: a program that starts meanwhile finds the old one or the new one.
  mkdirSync(dirname(target), { recursive: true });
  const made = mkdtempSync(join(dirname(target), ".dashboard-"));
  // A temporary folder is its owner's alone; the program may run as somebody else.
  chmodSync(made, 0o755);
  mkdirSync(join(made, "assets"));
  let page = readFileSync(join(SOURCE, "page.html"), "utf8");
  let bytes = 0;
  for (const { path, contents } of outputFiles) {
    const name = basename(path);
    const kind = extname(name);
    const hash = createHash("sha256").update(contents).digest("hex").slice(0, 10);
    const hashed = `${basename(name, kind)}-${hash}${kind}`;
    if (!page.includes(`/assets/${name}`)) throw new Error(`page.html does not name /assets/${name}`);
    page = page.replace(`/assets/${name}`, `/assets/${hashed}`);
    bytes += write(join(made, "assets", hashed), contents);
  }
  // What is bundled may be passed on with its licence beside it.
  writeFileSync(join(made, "licenses.txt"), licencesOf(Object.keys(metafile.inputs)));
  bytes += write(join(made, "index.html"), Buffer.from(page));
  rmSync(target, { recursive: true, force: true });
  renameSync(made, target);
  return bytes;
}

/** Of the packages from which files were taken. */
function licencesOf(files: readonly string[]): string {
  const packages = new Set(files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []));
  const texts = [...packages]
    .sort()
    .map((folder) => `${folder.replace(/^.*node_modules\//, "")}\n\n${readFileSync(join(folder, "LICENSE"), "utf8").trim()}\n`);
  return texts.join("\n----\n\n");
}

/** Returns the compressed size. */
function write(path: string, content: Uint8Array): number {
  const compressed = gzipSync(content, { level: 9 });
  writeFileSync(path, content);
  writeFileSync(`${path}.gz`, compressed);
  return compressed.length;
}

if (import.meta.main) {
  const began = performance.now();
  const bytes = await buildDashboard(join(SOURCE, "..", "..", "dist", "dashboard"));
  process.stdout.write(`dashboard: ${(bytes / 1_024).toFixed(0)} KiB compressed, ${Math.round(performance.now() - began)} ms\n`);
}
