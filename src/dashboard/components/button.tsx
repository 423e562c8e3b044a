import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface ButtonProps {
  readonly kind?: "plain" | "primary" | "danger" | "quiet";
  readonly type?: "button" | "submit";
  /** Why it cannot be pressed now. It stays reachable, so that everybody can learn why. */
  readonly unless?: string | undefined;
  readonly busy?: boolean;
  readonly onPress?: () => void;
  /** Said instead of the content. */
  readonly label?: string;
  /** For tests. */
  readonly name?: string;
  readonly children: ComponentChildren;
}

export function Button({ kind = "plain", type = "button", unless, busy = false, onPress, label, name, children }: ButtonProps) {
  const id = useId();
  const isOff = unless !== undefined || busy;
  return (
    <>
      <button
        type={type}
        class={`button button-${kind}`}
        aria-disabled={isOff}
        aria-busy={busy}
        aria-label={label}
        aria-describedby={unless === undefined ? undefined : `${id}-why`}
        title={unless}
        data-button={name}
        onClick={(event) => {
          if (isOff) event.preventDefault();
          else onPress?.();
        }}
      >
        {children}
      </button>
      {unless === undefined ? null : (
        <span id={`${id}-why`} class="unseen">
          {unless}
        </span>
      )}
    </>
  );
}
