import { Button } from "../components/button.tsx";
import { Card } from "../components/card.tsx";
import { Field } from "../components/field.tsx";
import { actor, nameActor } from "../store.ts";
import { ActDialog } from "./act-dialogs.tsx";
import { openAct } from "./act-state.ts";
import type { PanelProps } from "./panel.ts";
import { ACTS, type ActName, obstacleTo, type Situation, wayBack } from "./possible.ts";
import { actWord } from "./words-acts.ts";

/**
 * Stands in the head, always in sight: whatever takes everybody to the stable arm now. With it the dialogs of all acts, so that there is one
 * of each.
 */
export function WayBack({ view }: PanelProps) {
  const act = wayBack(situationOf(view), percentageOf(view));
  return (
    <>
      <ActButton act={act} view={view} inHead />
      <ActDialog view={view} />
    </>
  );
}

/** Everything that people may do to the rollout. What makes no sense now says why. */
export function ActsCard({ view }: PanelProps) {
  return (
    <Card id="acts" title={actWord("title")} span={4}>
      <p class="card-about">{actWord("about")}</p>
      <Field
        label={actWord("who")}
        hint={actWord("whoHint")}
        name="actor"
        value={actor.value}
        onInput={nameActor}
        autocomplete="username"
      />
      <div class="acts" role="group" aria-labelledby="acts-title">
        {ACTS.filter((act) => act !== "rollback").map((act) => (
          <ActButton key={act} act={act} view={view} />
        ))}
      </div>
    </Card>
  );
}

interface ActButtonProps extends PanelProps {
  readonly act: ActName;
  /** The one that is always in sight. */
  readonly inHead?: boolean;
}

function ActButton({ act, view, inHead = false }: ActButtonProps) {
  const obstacle = obstacleTo(act, situationOf(view));
  return (
    <Button
      name={inHead && act !== "rollback" ? `head-${act}` : act}
      kind={inHead ? "danger" : "plain"}
      unless={obstacle === undefined ? undefined : actWord(`obstacles.${obstacle}`)}
      onPress={() => openAct(act)}
    >
      {inHead && act === "kill" ? actWord("killAll") : actWord(`names.${act}`)}
    </Button>
  );
}

function percentageOf({ status, flag }: PanelProps["view"]): number {
  return status.flags.find((each) => each.flag === flag.flag)?.percentage ?? 0;
}

function situationOf({ rollout, flag }: PanelProps["view"]): Situation {
  return { rollout, killed: flag.killed, enabled: flag.settings["enabled"] !== "false" };
}
