import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface DialogProps {
  readonly open: boolean;
  readonly title: string;
  /** Escape, the close button or a press beside it; focus goes back to where it was. */
  readonly onClose: () => void;
  /** How the word on the close button is said. */
  readonly closeLabel: string;
  readonly wide?: boolean;
  readonly danger?: boolean;
  /** For tests. */
  readonly name?: string;
  readonly children: ComponentChildren;
}

/** A modal dialog of the browser: it keeps the focus inside and gives it back. Its content exists only while it is open. */
export function Dialog({ open, title, onClose, closeLabel, wide = false, danger = false, name, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    if (dialog === null || dialog.open === open) return;
    if (open) dialog.showModal();
    else dialog.close();
  }, [open]);
  return (
    <dialog
      ref={element}
      class={`dialog${wide ? " dialog-wide" : ""}${danger ? " dialog-danger" : ""}`}
      aria-labelledby={`${id}-title`}
      data-dialog={name}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === element.current) onClose();
      }}
    >
      {open ? (
        <div class="dialog-body">
          <div class="dialog-head">
            <h2 id={`${id}-title`}>{title}</h2>
            <button type="button" class="button button-quiet" aria-label={closeLabel} onClick={onClose}>
              <span aria-hidden="true">✕</span>
            </button>
          </div>
          {children}
        </div>
      ) : null}
    </dialog>
  );
}
