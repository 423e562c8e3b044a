import { useState } from "preact/hooks";
import type { Explanation } from "../../rollout/explain.ts";
import { ask, type Refusal } from "../api.ts";
import { ArmMark } from "../components/badge.tsx";
import { Button } from "../components/button.tsx";
import { ApiText, Card } from "../components/card.tsx";
import { Choice, Field } from "../components/field.tsx";
import { number, percent } from "../i18n.ts";
import { RefusalText } from "./act-form.tsx";
import type { PanelProps } from "./panel.ts";
import { explainWord } from "./words-system.ts";

/** Where a user is, why, and where another share would put them. */
export function ExplainCard({ view: { flag } }: PanelProps) {
  const [user, setUser] = useState("");
  const [segment, setSegment] = useState("");
  const [at, setAt] = useState("");
  const [found, setFound] = useState<Explanation | undefined>(undefined);
  const [refusal, setRefusal] = useState<Refusal | undefined>(undefined);
  const segments = Object.keys(flag.members).flatMap((name) => (name.startsWith("segment.") ? [name.slice("segment.".length)] : []));

  async function explain(): Promise<void> {
    const query = new URLSearchParams({ flag: flag.flag, user: user.trim() });
    if (segment !== "") query.set("segment", segment);
    if (at.trim() !== "") query.set("at", at.trim().replace(",", "."));
    const answer = await ask<Explanation>(`/api/explain?${query}`);
    setFound(answer.ok ? answer.data : undefined);
    setRefusal(answer.ok ? undefined : answer.refusal);
  }

  return (
    <Card id="explain" title={explainWord("title")} span={6}>
      <p class="card-about">{explainWord("about")}</p>
      <form
        class="line-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void explain();
        }}
      >
        <Field label={explainWord("user")} name="user" value={user} onInput={setUser} required />
        {segments.length === 0 ? null : (
          <Choice
            label={explainWord("segment")}
            name="segment"
            value={segment}
            options={[{ value: "", text: explainWord("segmentOwn") }, ...segments.map((name) => ({ value: name, text: name }))]}
            onChoose={setSegment}
          />
        )}
        <Field label={explainWord("at")} name="at" value={at} onInput={setAt} />
        <Button type="submit" kind="primary" name="explain">
          {explainWord("ask")}
        </Button>
      </form>
      <div role="status" data-explanation={found?.arm}>
        {found === undefined ? null : <ExplanationText found={found} />}
        {refusal === undefined ? null : <RefusalText refusal={refusal} />}
      </div>
    </Card>
  );
}

function ExplanationText({ found }: { readonly found: Explanation }) {
  const { user, arm, reason, rule, bucket, segment, revision, candidateFromPercentage: from, at } = found;
  return (
    <>
      <p class="explain-answer">
        <ArmMark arm={arm}>
          <strong>{explainWord("answer", { user, arm: explainWord(`arms.${arm}`) })}</strong>
        </ArmMark>
      </p>
      <dl class="facts">
        <dt>{explainWord("because")}</dt>
        <dd data-reason={reason}>{explainWord(`reasons.${reason}`)}</dd>
        <dt>{explainWord("rule")}</dt>
        <dd>
          <ApiText>{rule}</ApiText>
        </dd>
        <dt>{explainWord("bucket")}</dt>
        <dd data-bucket={bucket}>{explainWord("bucketOf", { bucket: number(bucket), share: percent(bucket / 100) })}</dd>
        <dt>{explainWord("ofSegment")}</dt>
        <dd>{segment ?? explainWord("noSegment")}</dd>
        <dt>{explainWord("from")}</dt>
        <dd>{typeof from === "number" ? percent(from) : explainWord("never")}</dd>
        <dt>{explainWord("revision")}</dt>
        <dd>{revision}</dd>
      </dl>
      {at === undefined || at === null ? null : (
        <p data-at={at.arm}>
          <ArmMark arm={at.arm}>
            {explainWord("there", { percentage: percent(at.percentage), arm: explainWord(`arms.${at.arm}`), rule: at.rule })}
          </ArmMark>
        </p>
      )}
    </>
  );
}
