import { execFile, spawnSync } from "node:child_process";

/** Prometheus's own tools, where they are installed (Debian and Ubuntu: the package `prometheus`). */
export const WITHOUT_PROMTOOL: string | false =
  spawnSync("promtool", ["--version"]).status === 0 ? false : "promtool is not installed (package prometheus)";

export interface ToolResult {
  readonly code: number;
  /** Both of its outputs. */
  readonly text: string;
}

export function promtool(args: readonly string[], input = ""): Promise<ToolResult> {
  return new Promise((resolve) => {
    const child = execFile("promtool", args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, text: stdout + stderr });
    });
    child.stdin?.end(input);
  });
}
