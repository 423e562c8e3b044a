import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What people read: README, changelog and docs/, as Markdown. */

export const ROOT = join(import.meta.dirname, "..", "..");

export interface Document {
  /** Relative to the project's folder. */
  readonly path: string;
  readonly text: string;
}

interface Link {
  /** As written. */
  readonly target: string;
  /** The file that it leads to, relative to the project's folder. */
  readonly path: string;
  /** Behind `#`; empty where there is none. */
  readonly anchor: string;
}

const ELSEWHERE = /^[a-z][a-z0-9+.-]*:/i;

export function documents(): readonly Document[] {
  const paths = [...globSync("*.md", { cwd: ROOT }), ...globSync("docs/**/*.md", { cwd: ROOT })];
  return paths.sort().map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}

/** Links to files of the project, those in code left out. */
export function linksOf({ path, text }: Document): readonly Link[] {
  const prose = withoutCode(text);
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !ELSEWHERE.test(target))
    .map((target) => {
      const [file = "", anchor = ""] = target.split("#");
      return { target, path: file === "" ? path : join(dirname(path), file), anchor };
    });
}

/** The anchors of its headings, made as code forges make them. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const anchors = withoutBlocks(text)
    .split("\n")
    .filter((line) => /^#{1,6} /.test(line))
    .map((line) => {
      const slug = line
        .replace(/^#+ /, "")
        .trim()
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
        .replaceAll(" ", "-");
      const times = seen.get(slug) ?? 0;
      seen.set(slug, times + 1);
      return times === 0 ? slug : `${slug}-${times}`;
    });
  return new Set(anchors);
}

/** Lines that a reader may type, of blocks and of code within sentences, that begin with this word. Remarks and prompts are taken away. */
export function commandLines({ text }: Document, program: string): readonly string[] {
  const blocks = [...text.matchAll(/^```(?:sh|bash)?\n([^]*?)^```/gm)].flatMap(([, block = ""]) =>
    block.replaceAll("\\\n", " ").split("\n"),
  );
  const inline = [...withoutBlocks(text).matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
  return [...blocks, ...inline]
    .map((line) =>
      line
        .replace(/^\$ /, "")
        .replace(/\s+# .*$/, "")
        .trim(),
    )
    .filter((line) => line === program || line.startsWith(`${program} `));
}

function withoutBlocks(text: string): string {
  return text.replaceAll(/^```[^]*?^```/gm, "");
}

function withoutCode(text: string): string {
  return withoutBlocks(text).replaceAll(/`[^`\n]*`/g, "");
}
