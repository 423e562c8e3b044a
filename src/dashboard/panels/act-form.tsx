import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Answer, Refusal } from "../api.ts";
import { Button } from "../components/button.tsx";
import { ApiText } from "../components/card.tsx";
import { Field } from "../components/field.tsx";
import { actor, nameActor } from "../store.ts";
import { actWord } from "./words-acts.ts";

interface ActFormProps<T> {
  readonly about: string;
  readonly confirm: string;
  readonly danger?: boolean;
  /** What stands in the reason from the beginning: where time matters nobody has to think of one. */
  readonly reason?: string;
  /** optional: an empty one is sent as well; none: it is not asked for. Default: it must be given. */
  readonly asks?: "optional" | "none";
  /** Asks the API; or says what is wrong with what was typed. */
  readonly act: (reason: string) => Promise<Answer<T>> | string;
  readonly onRefused?: (refusal: Refusal) => void;
  /** Errors of these fields are shown where they are. */
  readonly placed?: readonly string[];
  readonly receipt: (data: T) => ComponentChildren;
  readonly onClose: () => void;
  /** One of the inputs before the reason takes the focus by itself. */
  readonly hasOwnFocus?: boolean;
  /** Inputs before the reason. */
  readonly children?: ComponentChildren;
}

type Phase<T> =
  | { readonly kind: "asking" | "working" }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "wrong"; readonly what: string }
  | { readonly kind: "done"; readonly data: T };

/** What every act asks for, what the API says to it, and the receipt: one form in a dialog. */
export function ActForm<T>(props: ActFormProps<T>) {
  const { about, confirm, danger = false, act, onRefused, placed = [], receipt, onClose, children } = props;
  const [reason, setReason] = useState(props.reason ?? "");
  const [phase, setPhase] = useState<Phase<T>>({ kind: "asking" });
  const [isUnreasoned, setUnreasoned] = useState(false);
  const isBusy = useRef(false);
  const end = useRef<HTMLDivElement>(null);
  const isDone = phase.kind === "done";
  useEffect(() => {
    if (isDone) end.current?.querySelector("button")?.focus();
  }, [isDone]);

  async function submit(): Promise<void> {
    // Two presses are one act, however soon the second one comes.
    if (isBusy.current) return;
    const isMissing = reason.trim() === "" && props.asks === undefined;
    setUnreasoned(isMissing);
    if (isMissing) return;
    const asked = act(reason.trim());
    if (typeof asked === "string") return setPhase({ kind: "wrong", what: asked });
    isBusy.current = true;
    setPhase({ kind: "working" });
    const answer = await asked;
    isBusy.current = false;
    if (answer.ok) return setPhase({ kind: "done", data: answer.data });
    setPhase({ kind: "refused", refusal: answer.refusal });
    onRefused?.(answer.refusal);
  }

  if (phase.kind === "done")
    return (
      <div ref={end} data-receipt>
        <div role="status">{receipt(phase.data)}</div>
        <div class="act-buttons">
          <Button kind="primary" onPress={onClose} name="close">
            {actWord("close")}
          </Button>
        </div>
      </div>
    );
  const isWorking = phase.kind === "working";
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <p class="act-about">{about}</p>
      {children}
      {props.asks === "none" ? null : (
        <Field
          label={actWord("reason")}
          name="reason"
          value={reason}
          onInput={setReason}
          required={props.asks === undefined}
          error={isUnreasoned && reason.trim() === "" ? actWord("reasonNeeded") : undefined}
          autofocus={props.hasOwnFocus !== true}
        />
      )}
      <Field label={actWord("who")} hint={actWord("whoHint")} name="who" value={actor.value} onInput={nameActor} autocomplete="username" />
      <div role="alert">
        {phase.kind === "refused" ? <RefusalText refusal={phase.refusal} placed={placed} /> : null}
        {phase.kind === "wrong" ? <p class="act-refused">{phase.what}</p> : null}
      </div>
      <div class="act-buttons">
        <Button type="submit" kind={danger ? "danger" : "primary"} busy={isWorking} name="confirm">
          {isWorking ? actWord("working") : confirm}
        </Button>
        <Button onPress={onClose} name="cancel">
          {actWord("cancel")}
        </Button>
      </div>
    </form>
  );
}

interface RefusalTextProps {
  readonly refusal: Refusal;
  readonly placed?: readonly string[];
}

/** As the API says it: what was refused, and one line for each thing that is wrong. */
export function RefusalText({ refusal: { status, title, detail, errors }, placed = [] }: RefusalTextProps) {
  const lines = errors.filter(({ field, message }) => !placed.includes(field) && !detail.includes(message));
  return (
    <div class="act-refused" data-refusal={status}>
      {status === 0 ? <p>{actWord("unreachable")}</p> : null}
      <p>
        <strong>
          {actWord("refused")}
          {status === 0 ? "" : ` (${status})`}
        </strong>
        {title === "" ? null : (
          <>
            {": "}
            <ApiText>{title}</ApiText>
          </>
        )}
      </p>
      {detail === "" ? null : (
        <p>
          <ApiText>{detail}</ApiText>
        </p>
      )}
      {lines.length === 0 ? null : (
        <ul>
          {lines.map(({ field, message }, index) => (
            <li key={index} data-field={field}>
              <ApiText>{message}</ApiText>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
