import type { ComponentChildren } from "preact";

interface CardProps {
  /** Of the page; the heading gets `{id}-title`. */
  readonly id: string;
  readonly title: string;
  /** Of twelve columns on a wide screen; narrow ones have one column. Default 6. */
  readonly span?: 3 | 4 | 5 | 6 | 7 | 8 | 12;
  /** Beside the title: a badge, a choice, a button. */
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
}

/** A part of the page with a heading of level 3. */
export function Card({ id, title, span = 6, aside, children }: CardProps) {
  return (
    <article id={id} class={`card span-${span}`} aria-labelledby={`${id}-title`}>
      <header class="card-head">
        <h3 id={`${id}-title`}>{title}</h3>
        {aside === undefined ? null : <div class="card-aside">{aside}</div>}
      </header>
      {children}
    </article>
  );
}

/** Said where there is nothing to show, and why. */
export function Nothing({ children }: { readonly children: ComponentChildren }) {
  return <p class="nothing">{children}</p>;
}

/** A text of the API, which speaks English whatever the language of the page. */
export function ApiText({ children }: { readonly children: string }) {
  return <span lang="en">{children}</span>;
}
