import type { Language } from "../incidents/incident.ts";
import type { ReportContent, ReportTable } from "./report-content.ts";

const STYLE = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #8886; vertical-align: top; }
th { font-weight: 600; }
tr.breached { border-left: 4px solid #c62828; } tr.warning { border-left: 4px solid #b26a00; }
tr.met { border-left: 4px solid #2e7d32; } tr.no-data { border-left: 4px solid #8888; }
@media print { body { max-width: none; margin: 0; font-size: 10px; color-scheme: light; } .wide { overflow: visible; } tr, h2 { break-inside: avoid; } h2 { break-after: avoid; } }
`;

/** One file that needs no other, fit for print. */
export function toHtml({ title, lead, sections }: ReportContent, language: Language): string {
  const body = sections.map(({ title: heading, paragraphs, table }) => {
    return `<section>\n<h2>${escape(heading)}</h2>\n${paragraphs.map(paragraph).join("")}${table === undefined ? "" : tableText(table, heading)}</section>\n`;
  });
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${lead.map(paragraph).join("")}${body.join("")}</main>
</body>
</html>
`;
}

function paragraph(text: string): string {
  return `<p>${escape(text)}</p>\n`;
}

function tableText({ head, rows }: ReportTable, caption: string): string {
  const heads = head.map((cell) => `<th scope="col">${escape(cell)}</th>`).join("");
  const lines = rows.map(({ state, cells }) => {
    const [first = "", ...others] = cells.map(escape);
    const marked = state === undefined ? "" : ` class="${state}"`;
    return `<tr${marked}><th scope="row">${first}</th>${others.map((cell) => `<td>${cell}</td>`).join("")}</tr>\n`;
  });
  return `<div class="wide" role="region" aria-label="${escape(caption)}" tabindex="0">\n<table>\n<thead><tr>${heads}</tr></thead>\n<tbody>\n${lines.join("")}</tbody>\n</table>\n</div>\n`;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
