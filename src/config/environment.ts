import { suggest } from "./problem.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const PLACEHOLDER = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^{}]*))?\}|\$\{/g;

/**
 * Fills in `${NAME}` and `${NAME:-default}`; the default counts where the variable is missing or empty, as in a shell. `$${` is
 * a plain `${`. Returns the text and what was wrong with it.
 */
export function fillIn(text: string, environment: Environment): { readonly text: string; readonly wrong: readonly string[] } {
  const wrong: string[] = [];
  const filled = text.replace(PLACEHOLDER, (found: string, name?: string, hasDefault?: string, fallback?: string) => {
    if (found === "$${") return "${";
    if (name === undefined) {
      wrong.push("holds a ${ that begins no placeholder; write ${NAME} or ${NAME:-default} (not nested), or $${ for a plain ${");
      return "";
    }
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (hasDefault !== undefined) return value === undefined || value === "" ? (fallback ?? "") : value;
    if (value === undefined) wrong.push(missing(name, environment));
    return value ?? "";
  });
  return { text: filled, wrong };
}

function missing(name: string, environment: Environment): string {
  const near = suggest(name, Object.keys(environment), "").replace(/^known: .*/s, "");
  return `the environment variable ${name} is not set; set it, or write \${${name}:-default}${near === "" ? "" : ` (${near})`}`;
}
