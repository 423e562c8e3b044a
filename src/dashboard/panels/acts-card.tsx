import { Button } from "../components/button.tsx";
import { Card } from "../components/card.tsx";
import { Field } from "../components/field.tsx";
import { actor, nameActor } from "../store.ts";
import { ActDialog } from "./act-dialogs.tsx";
import { openAct } from "./act-state.ts";
import type { PanelProps } from "./panel.ts";
import { ACTS, type ActName, obstacleTo, type Situation } from "./possible.ts";
import { actWord } from "./words-acts.ts";

/** Stands in the head, always in sight; with it the dialogs of all acts, so that there is one of each. */
export function RollBack({ view }: PanelProps) {
  return (
    <>
      <ActButton act="rollback" view={view} />
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
}

function ActButton({ act, view }: ActButtonProps) {
  const obstacle = obstacleTo(act, situationOf(view));
  return (
    <Button
      name={act}
      kind={act === "rollback" ? "danger" : "plain"}
      unless={obstacle === undefined ? undefined : actWord(`obstacles.${obstacle}`)}
      onPress={() => openAct(act)}
    >
      {actWord(`names.${act}`)}
    </Button>
  );
}

function situationOf({ rollout, flag }: PanelProps["view"]): Situation {
  return { rollout, killed: flag.killed, enabled: flag.settings["enabled"] !== "false" };
}
