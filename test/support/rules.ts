import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

export const PROMETHEUS = join(import.meta.dirname, "../../config/prometheus");

export interface Rule {
  readonly file: string;
  readonly alert: string | undefined;
  readonly record: string | undefined;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Files of a folder below config/prometheus, by name. */
export function filesIn(folder: string): readonly string[] {
  return readdirSync(join(PROMETHEUS, folder))
    .filter((name) => name.endsWith(".yml"))
    .toSorted();
}

export function readRules(): readonly Rule[] {
  return filesIn("rules").flatMap((file) => {
    const { groups } = parse(readFileSync(join(PROMETHEUS, "rules", file), "utf8")) as RuleFile; // promtool checks what it is.
    return groups.flatMap(({ rules }) =>
      rules.map(({ alert, record, expr, labels = {}, annotations = {} }) => ({ file, alert, record, expr, labels, annotations })),
    );
  });
}

interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert?: string;
      readonly record?: string;
      readonly expr: string;
      readonly labels?: Readonly<Record<string, string>>;
      readonly annotations?: Readonly<Record<string, string>>;
    }[];
  }[];
}

const DURATION = /^(\d+)(ms|s|m|h|d)$/;
const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3_600, d: 86_400 };

/** The rules of a file with every `for` divided, so that a test need not wait for minutes. What is compared with what stays as it is. */
export function hastened(text: string, by: number): string {
  return text.replaceAll(/^(\s+for: )(\S+)$/gm, (line: string, head: string, duration: string) => {
    const [, amount, unit = ""] = DURATION.exec(duration) ?? [];
    const seconds = Number(amount) * (SECONDS[unit] ?? Number.NaN);
    if (!Number.isFinite(seconds)) throw new Error(`not a duration: ${line}`);
    return `${head}${Math.max(1, Math.round(seconds / by))}s`;
  });
}
