import type { Receipt } from "../admin/operations.ts";
import type { Answer } from "./client.ts";
import { parseReceipt } from "./answers.ts";
import { FailedAsPrinted } from "./failed.ts";
import { bad, good, print } from "./output.ts";

/** Prints who runs the new revision. Throws {@link FailedAsPrinted} if it was waited for and somebody does not. */
export function printReceipt(answer: Answer, waited: boolean, json: boolean): void {
  const receipt = parseReceipt(answer.value);
  const words = receiptInWords(receipt, waited);
  const isLacking = waited && receipt.missing.length > 0;
  print(json ? answer.text : isLacking ? bad(words) : good(words));
  if (isLacking) throw new FailedAsPrinted(words);
}

/** `revision 12: confirmed by 2 of 3 instances; missing: host-b` */
export function receiptInWords({ revision, acknowledged, missing, shared }: Receipt, waited: boolean): string {
  const all = acknowledged.length + missing.length;
  const confirmed = `revision ${revision}: confirmed by ${acknowledged.length} of ${all} ${all === 1 ? "instance" : "instances"}`;
  const words = waited ? confirmed : `revision ${revision}: written; --wait tells who runs it`;
  const lacking = waited && missing.length > 0 ? `; missing: ${missing.join(", ")}` : "";
  return words + lacking + (shared ? "" : "; no store can be reached, so other instances learn of it later");
}
