import type { Receipt } from "../../admin/operations.ts";
import type { ActReceipt } from "../../controller/desk.ts";
import { Badge } from "../components/badge.tsx";
import { ApiText } from "../components/card.tsx";
import { number } from "../i18n.ts";
import { actWord } from "./words-acts.ts";
import { statusWord } from "./words-rollout.ts";

interface ReceiptProps {
  readonly receipt: Receipt | ActReceipt;
}

/** What an act came to: who runs the settings that go with it, and who has not said so. */
export function ReceiptText({ receipt }: ReceiptProps) {
  const { revision, acknowledged, missing } = receipt;
  const facts = { revision: String(revision), confirmed: number(acknowledged.length), all: number(acknowledged.length + missing.length) };
  return (
    <div class="act-receipt">
      <p>
        <Badge tone="good">{actWord("done")}</Badge> {"status" in receipt ? wordOf(receipt.status) : null}
      </p>
      {"reason" in receipt && receipt.reason !== "" ? (
        <p>
          <ApiText>{receipt.reason}</ApiText>
        </p>
      ) : null}
      <p>{actWord("receipt", facts)}</p>
      {acknowledged.length === 0 ? null : <p>{actWord("confirmedBy", { names: acknowledged.join(", ") })}</p>}
      {missing.length === 0 ? null : (
        <p>
          <Badge tone="warn">{actWord("missingFrom", { names: missing.join(", ") })}</Badge>
        </p>
      )}
      {"shared" in receipt && !receipt.shared ? (
        <p>
          <Badge tone="warn">{actWord("notShared")}</Badge>
        </p>
      ) : null}
    </div>
  );
}

const STATUSES = ["idle", "progressing", "waiting", "held", "rolling-back", "rolled-back", "completed"] as const;

function wordOf(status: string): string {
  const known = STATUSES.find((word) => word === status);
  return known === undefined ? status : statusWord(known);
}
