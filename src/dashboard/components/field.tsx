import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly kind?: "text" | "password" | "area" | "number" | "datetime-local";
  readonly hint?: ComponentChildren;
  /** What is wrong with it. */
  readonly error?: string | undefined;
  readonly required?: boolean;
  readonly autofocus?: boolean;
  /** As in HTML. */
  readonly autocomplete?: "off" | "name" | "username" | "current-password";
  readonly list?: readonly string[];
  readonly rows?: number;
  /** For tests; the name of the input. */
  readonly name: string;
}

/** One labelled input with its hint and what is wrong with it. */
export function Field(props: FieldProps) {
  const {
    label,
    value,
    onInput,
    kind = "text",
    hint,
    error,
    required = false,
    autofocus = false,
    autocomplete = "off",
    list,
    rows,
    name,
  } = props;
  const id = useId();
  const describedBy =
    [hint === undefined ? "" : `${id}-hint`, error === undefined ? "" : `${id}-error`].filter(Boolean).join(" ") || undefined;
  const shared = {
    id,
    name,
    value,
    required,
    autofocus,
    autocomplete,
    "aria-describedby": describedBy,
    "aria-invalid": error !== undefined,
    onInput: (event: { readonly currentTarget: { readonly value: string } }) => onInput(event.currentTarget.value),
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {kind === "area" ? <textarea {...shared} rows={rows ?? 4} spellcheck={false} /> : null}
      {kind === "text" ? <input {...shared} type="text" {...(list === undefined ? {} : { list: `${id}-list` })} /> : null}
      {kind === "password" ? <input {...shared} type="password" /> : null}
      {kind === "number" ? <input {...shared} type="number" /> : null}
      {kind === "datetime-local" ? <input {...shared} type="datetime-local" /> : null}
      {list === undefined ? null : (
        <datalist id={`${id}-list`}>
          {list.map((known) => (
            <option key={known} value={known} />
          ))}
        </datalist>
      )}
      {hint === undefined ? null : (
        <p id={`${id}-hint`} class="field-hint">
          {hint}
        </p>
      )}
      {error === undefined ? null : (
        <p id={`${id}-error`} class="field-error">
          {error}
        </p>
      )}
    </div>
  );
}

interface ChoiceProps<Value extends string> {
  readonly label: string;
  readonly value: Value;
  readonly options: readonly { readonly value: Value; readonly text: string }[];
  readonly onChoose: (value: Value) => void;
  /** The label is said and not shown. */
  readonly quiet?: boolean;
  /** For tests; the name of the select. */
  readonly name: string;
}

/** One of several, as the browser's own select. */
export function Choice<Value extends string>({ label, value, options, onChoose, quiet = false, name }: ChoiceProps<Value>) {
  const id = useId();
  return (
    <div class={quiet ? "choice" : "field"}>
      <label for={id} class={quiet ? "unseen" : undefined}>
        {label}
      </label>
      <select
        id={id}
        name={name}
        value={value}
        onChange={({ currentTarget }) => {
          const chosen = options.find((option) => option.value === currentTarget.value);
          if (chosen !== undefined) onChoose(chosen.value);
        }}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
    </div>
  );
}
