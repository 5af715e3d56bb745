/** What a person has to be told, or asked, before a plan is carried out. Pure. */
import type { Int, LargestChange, Operation, Plan } from "../api/types";

/** From so many rows on the person types the number before the plan is carried out. */
export const LARGE_ROWS = 10_000;
/** A change so many times the mean one stands out. */
export const OUTLIER_FACTOR = 10;
/** As long as the server looks back for what changed the same. */
export const REPEAT_DAYS = 7;

/** Rows that the commit sends: those that would fail or are superseded are not. */
export const rowsSent = ({ rows }: Plan): number => rows.change + rows.same;

export const needsTyping = (plan: Plan): boolean => rowsSent(plan) >= LARGE_ROWS;

export const changeOf = ({ before, after }: Pick<LargestChange, "before" | "after">): bigint =>
  BigInt(after) - BigInt(before);

const size = (value: bigint): bigint => (value < 0n ? -value : value);

/** The mean size of one EID's changes but for the largest, which would hide themselves in it. */
export function meanChange(plan: Plan, eid: string): bigint {
  const { up, down, largest } = plan.eids[eid] ?? { up: 0 as Int, down: 0 as Int, largest: [] };
  const total = size(BigInt(up)) + size(BigInt(down));
  const rows = BigInt(plan.rows.change);
  const others = rows - BigInt(largest.length);
  if (others <= 0n) return rows === 0n ? 0n : total / rows;
  return (total - largest.map((change) => size(changeOf(change))).reduce((sum, each) => sum + each, 0n)) / others;
}

export function isOutlier(change: Pick<LargestChange, "before" | "after">, mean: bigint): boolean {
  const own = size(changeOf(change));
  return own > BigInt(OUTLIER_FACTOR) * mean && own > BigInt(OUTLIER_FACTOR);
}

/** Operations that may have done the same: same cluster, counters, mode and number of rows. The server knows for sure. */
export function likelyRepeats(operations: readonly Operation[], planned: Operation): Operation[] {
  return operations.filter(
    (each) =>
      each.id !== planned.id &&
      !each.dry_run &&
      each.model === "modify" &&
      each.cluster === planned.cluster &&
      each.mode === planned.mode &&
      each.rows.total === planned.rows.total &&
      each.state !== "rejected" &&
      !(each.state === "cancelled" && each.rows.ok === 0) &&
      sameEids(each.eids, planned.eids),
  );
}

function sameEids(some: readonly number[], others: readonly number[]): boolean {
  const sorted = (eids: readonly number[]) => [...eids].sort((a, b) => a - b).join();
  return sorted(some) === sorted(others);
}
