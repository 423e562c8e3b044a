import type { ReportContent, ReportTable } from "./report-content.ts";

/** GitHub's Markdown. */
export function toMarkdown({ title, lead, sections }: ReportContent): string {
  const blocks = [
    `# ${escape(title)}`,
    ...lead.map(escape),
    ...sections.flatMap((section) => [
      `## ${escape(section.title)}`,
      ...section.paragraphs.map(escape),
      ...(section.table === undefined ? [] : [tableText(section.table)]),
    ]),
  ];
  return `${blocks.join("\n\n")}\n`;
}

function tableText({ head, rows }: ReportTable): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escape).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(({ cells }) => line(cells))].join("\n");
}

/** Names come from elsewhere: none may begin markup, end a cell or a line. */
function escape(text: string): string {
  return text === "---" ? text : text.replace(/[\r\n]+/g, " ").replace(/[\\`*_{}[\]<>|#~&]/g, "\\$&");
}
