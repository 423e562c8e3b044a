import { ApiText } from "../components/card.tsx";

/** A sentence of the API in a table: wide enough to be read, where the table is too wide for the screen as well. */
export function Prose({ text }: { readonly text: string }) {
  return text === "" ? null : (
    <span class="prose">
      <ApiText>{text}</ApiText>
    </span>
  );
}
