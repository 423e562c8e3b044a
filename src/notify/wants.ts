import type { KeptDelivery, NoticeState } from "./state.ts";

/** Something that channels are to be told of a notice. */
export interface Want {
  readonly notice: string;
  readonly part: KeptDelivery["part"];
  readonly index: number;
  readonly dueAt: number;
  readonly channels: readonly string[];
  /** Of the part `level`; else "". */
  readonly policy: string;
}

/** What comes first where several are due for one channel at once; the end is told beside any of them. */
const ORDER: readonly KeptDelivery["part"][] = ["level", "flow", "first", "news", "again"];

/** Makes a delivery of each want for each of its channels, but of one notice to one channel only one at a time. */
export function withWants(state: NoticeState, wants: readonly Want[], now: number): NoticeState {
  if (wants.every(({ channels }) => channels.length === 0)) return state;
  let { deliveries } = state;
  const notices = state.notices.map((notice) => {
    const own = wants.filter((want) => want.notice === notice.id);
    if (own.length === 0) return notice;
    const told: string[] = [];
    let { made } = notice;
    for (const want of inOrder(own)) {
      for (const channel of want.channels) {
        if (want.part !== "end" && told.includes(channel)) continue;
        if (want.part !== "end") told.push(channel);
        if (want.part === "again" && waits(deliveries, notice.id, channel)) continue;
        deliveries = without(deliveries, want, channel);
        made++;
        deliveries = [...deliveries, deliveryOf(want, channel, `${notice.id}.${made}`, now)];
      }
    }
    const heard = [...new Set([...notice.heard, ...own.flatMap(({ channels }) => channels)])];
    return { ...notice, made, heard };
  });
  return { ...state, notices, deliveries };
}

/** By their rank; the end comes after all that it ends. */
function inOrder(wants: readonly Want[]): readonly Want[] {
  const rank = ({ part }: Want): number => (part === "end" ? ORDER.length : ORDER.indexOf(part));
  return wants.toSorted((a, b) => rank(a) - rank(b));
}

/** What still waits for the channel will tell, when it is sent, how things are then. */
function waits(deliveries: readonly KeptDelivery[], notice: string, channel: string): boolean {
  return deliveries.some((one) => one.notice === notice && one.channel === channel && one.status === "waiting");
}

/** Without what the new one makes stale: who could not be reached for hours is told where things are, not all that they went through. */
function without(deliveries: readonly KeptDelivery[], { notice, part }: Want, channel: string): readonly KeptDelivery[] {
  const stale = (one: KeptDelivery): boolean =>
    one.notice === notice &&
    one.channel === channel &&
    one.status === "waiting" &&
    (one.part === part || (part === "level" && one.part === "again"));
  return deliveries.some(stale) ? deliveries.filter((one) => !stale(one)) : deliveries;
}

export function deliveryOf(want: Want, channel: string, id: string, now: number): KeptDelivery {
  const { notice, part, index, dueAt, policy } = want;
  return { id, notice, channel, part, index, dueAt, tries: 0, nextAt: now, status: "waiting", detail: "", createdAt: now, policy };
}
