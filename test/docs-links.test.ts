import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { anchorsOf, documents, linksOf, ROOT } from "./support/documentation.ts";

const all = documents();

t.test("every link between documents leads to a file that exists, and to a heading in it", async (t) => {
  const wrong: string[] = [];
  let links = 0;
  for (const document of all) {
    for (const { target, path, anchor } of linksOf(document)) {
      links++;
      if (!existsSync(join(ROOT, path))) wrong.push(`${document.path}: ${target}: there is no ${path}`);
      else if (anchor !== "" && !anchorsOf(readFileSync(join(ROOT, path), "utf8")).has(anchor))
        wrong.push(`${document.path}: ${target}: ${path} has no such heading`);
    }
  }
  t.same(wrong, []);
  t.ok(links > 100, `${links} links were followed`);
});

t.test("every document can be found from the README", async (t) => {
  const linked = new Map(all.map((document) => [document.path, linksOf(document).map(({ path }) => path)]));
  const found = new Set(["README.md"]);
  for (const path of found) for (const next of linked.get(path) ?? []) found.add(next);
  const lost = all.map(({ path }) => path).filter((path) => path.startsWith("docs/") && !found.has(path));
  t.same(lost, []);
});

t.test("anchors are those that readers' tools make of headings", async (t) => {
  const text = "# One thing\n## `kill`, and what's left\n```\n# no heading\n```\n## Again\n## Again\n### a_b: c-d\n";
  t.same([...anchorsOf(text)], ["one-thing", "kill-and-whats-left", "again", "again-1", "a_b-c-d"]);
});

t.test("links in code are none", async (t) => {
  const text = "[a](b.md#c) `[x](y.md)` [site](https://example.com)\n```\n[z](z.md)\n```\n[same](#there)\n";
  t.same(linksOf({ path: "docs/x.md", text }), [
    { target: "b.md#c", path: "docs/b.md", anchor: "c" },
    { target: "#there", path: "docs/x.md", anchor: "there" },
  ]);
});
