import type { Person } from "../../config/config.ts";
import { checkAgainst } from "../plan-file/checks.ts";
import { namesOf } from "../plan-file/parse.ts";
import type { Plan } from "../plan.ts";
import { error, type Raised, type Subject, warning } from "./finding.ts";

/** Names of flags, segments, routes, hooks and roles that nobody knows where the plan is to run. */
export function lintNames({ plan, config }: Subject): Raised[] {
  if (config === undefined) return [];
  const unknown = checkAgainst(asFile(plan), namesOf(config)).map(({ path, message }) =>
    error("unknown-name", path, message, "correct the name, or add it to the configuration"),
  );
  const commands = new Set(config.hooks.filter(({ kind }) => kind === "command").map(({ name }) => name));
  const silent = plan.steps.flatMap(({ webhooks }, step) =>
    webhooks.flatMap((name, index) =>
      commands.has(name)
        ? [
            error(
              "hook-kind",
              ["steps", step, "webhooks", index],
              `${name} is a command, and only a webhook can say pass`,
              "name a hook with webhook: in the configuration",
            ),
          ]
        : [],
    ),
  );
  return [...unknown, ...silent, ...approvals(plan, config.admin.people)];
}

/** The members that name something, as they stand in a file. */
function asFile(plan: Plan): Readonly<Record<string, unknown>> {
  return { ...plan, segments: Object.fromEntries(plan.segments.map(({ name, fromBp }) => [name, { from: fromBp }])) };
}

function approvals({ steps }: Plan, people: readonly Person[]): Raised[] {
  const asking = steps.flatMap((step, index) => (step.approvals.length === 0 ? [] : [{ step, index }]));
  const [first] = asking;
  if (first === undefined) return [];
  if (people.length === 0) {
    const message =
      "approvals are asked for, and nobody has a token of his own: whoever reaches the admin side approves under any name and in any role";
    return [
      warning(
        "approvals-unproved",
        ["steps", first.index, "approvals"],
        message,
        "name the people under admin.people in the configuration",
      ),
    ];
  }
  return asking.flatMap(({ step, index }) => {
    const path = ["steps", index, "approvals"];
    const nobody = step.approvals.filter((role) => !people.some(({ roles }) => roles.includes(role)));
    if (nobody.length > 0)
      return [
        error(
          "approvals-nobody",
          path,
          `nobody has the role ${nobody.join(", ")}, so ${step.name} can never be left`,
          "give the role to somebody under admin.people",
        ),
      ];
    if (canApprove(step.approvals, people)) return [];
    return [
      error(
        "approvals-nobody",
        path,
        `${step.approvals.join(" and ")} need different people, and there are too few with these roles`,
        "give a role to one more person under admin.people",
      ),
    ];
  });
}

/** Whether every role can be given by somebody of its own: a matching, by augmenting paths (Kuhn 1955). */
function canApprove(roles: readonly string[], people: readonly Person[]): boolean {
  const roleOf = new Map<string, number>();
  const place = (role: number, tried: Set<string>): boolean =>
    people.some((person) => {
      if (!person.roles.includes(roles[role] ?? "") || tried.has(person.name)) return false;
      tried.add(person.name);
      const held = roleOf.get(person.name);
      if (held !== undefined && !place(held, tried)) return false;
      roleOf.set(person.name, role);
      return true;
    });
  return roles.every((_, role) => place(role, new Set()));
}
