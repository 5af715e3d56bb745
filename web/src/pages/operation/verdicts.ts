/** What the values of an uncertain row speak for. A hint and no more: players go on playing. */
import type { Int, UncertainRow } from "../../api/types";

export const VERDICTS = ["applied", "not_applied", "send_again"] as const;
export type Verdict = (typeof VERDICTS)[number];

export type Hint = "applied" | "notApplied" | "unclear" | "unknown";

const same = (one: readonly Int[], other: readonly Int[]) =>
  one.length === other.length && one.every((value, index) => BigInt(value) === BigInt(other[index] ?? 0));

export function hintOf({ before, after, now }: UncertainRow): Hint {
  if (now === null || (before === null && after === null)) return "unknown";
  const [isBefore, isAfter] = [before !== null && same(now, before), after !== null && same(now, after)];
  if (isBefore === isAfter) return "unclear";
  return isAfter ? "applied" : "notApplied";
}
