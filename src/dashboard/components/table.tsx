import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

export interface Column<Row> {
  readonly key: string;
  readonly head: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** Numbers stand right, with figures of one width. */
  readonly number?: boolean;
  /** Names its row. */
  readonly header?: boolean;
}

interface TableProps<Row> {
  /** Said to those who do not see where it stands. */
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** For tests. */
  readonly name?: string;
}

/** A table that scrolls by itself where it is too wide, so the page never does. */
export function Table<Row>({ caption, columns, rows, keyOf, name }: TableProps<Row>) {
  const box = useRef<HTMLDivElement>(null);
  const [isWide, tell] = useState(false);
  useEffect(() => {
    const { current } = box;
    if (current === null) return undefined;
    const size = new ResizeObserver(() => tell(current.scrollWidth > current.clientWidth));
    for (const element of [current, ...current.children]) size.observe(element);
    return () => size.disconnect();
  }, []);
  return (
    // Where it is too wide, whoever has no mouse scrolls it with the arrow keys.
    <div ref={box} class="table-box" role="group" aria-label={caption} {...(isWide ? { tabIndex: 0 } : {})}>
      <table data-table={name}>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ key, head, number }) => (
              <th key={key} scope="col" class={number ? "number" : undefined}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} data-row={keyOf(row)}>
              {columns.map(({ key, cell, number, header }) =>
                header ? (
                  <th key={key} scope="row">
                    {cell(row)}
                  </th>
                ) : (
                  <td key={key} class={number ? "number" : undefined}>
                    {cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
