/** What waits, and for whom. Pure. */
import type { Operation, Session } from "../../api/types";

export type Group = "mine" | "forMe" | "others";

/** What an operation waits for, as a word of overview.waitsFor. */
export type WaitsFor = "turn" | "decision" | "person" | "cluster" | "disk" | "brake" | "canary";

type Asker = Pick<Session, "operatorid"> & { mayDecide: boolean };

export const isWaiting = ({ state }: Operation): boolean =>
  state === "queued" || state === "paused" || state === "awaiting_approval";

export function waitsFor({ state, paused_by }: Operation): WaitsFor {
  if (state === "queued") return "turn";
  if (state === "awaiting_approval") return "decision";
  return paused_by ?? "person";
}

/** Who handed it in; null where nobody knows who asks. */
export const isMine = (operation: Operation, { operatorid }: Pick<Asker, "operatorid">): boolean =>
  operatorid !== null && String(operation.operatorid) === String(operatorid);

/** Whether the asker is a second person for it. */
export const mayDecideAbout = (operation: Operation, asker: Asker): boolean =>
  operation.state === "awaiting_approval" && asker.mayDecide && !isMine(operation, asker);

function groupOf(operation: Operation, asker: Asker): Group {
  if (isMine(operation, asker)) return "mine";
  return mayDecideAbout(operation, asker) ? "forMe" : "others";
}

/** The groups that have any: one's own first, then what waits for one's decision; in each the longest waiting first. */
export function groupWaiting(operations: readonly Operation[], asker: Asker): { group: Group; items: Operation[] }[] {
  const waiting = operations.filter(isWaiting).sort((a, b) => a.id - b.id);
  return (["mine", "forMe", "others"] as const)
    .map((group) => ({ group, items: waiting.filter((operation) => groupOf(operation, asker) === group) }))
    .filter(({ items }) => items.length > 0);
}

/** How many of the same cluster have their turn before it. */
export const countBefore = (operation: Operation, operations: readonly Operation[]): number =>
  operations.filter(({ id, state, cluster }) => state === "queued" && cluster === operation.cluster && id < operation.id)
    .length;
