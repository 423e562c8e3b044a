import { FieldList } from "../http/head.ts";

/** The links of an interim answer, one by one; what is not a single well-formed link is left out. */
export function linksOf(fields: readonly string[]): string[] {
  return new FieldList(fields)
    .all("link")
    .flatMap((value) => value.split(/,\s*(?=<)/))
    .map((link) => link.trim())
    .filter((link) => /^<[^<>]*>(?:\s*;\s*[^\s;"=]+(?:=(?:"[^\s;"]*"|[^\s;"]*))?)*$/.test(link));
}
