/** Why a second person is needed, in the page's words. What the server says otherwise stands as it was said. */
import type { Phrase } from "./events";

const KNOWN: [RegExp, string, string[]][] = [
  [/^([\d,]+) rows are over approval\.rows = ([\d,]+)$/, "operation.over.rows", ["value", "limit"]],
  [/^([\d,]+) in all is over approval\.total_amount = ([\d,]+)$/, "operation.over.total", ["value", "limit"]],
  [/^an amount of ([\d,]+) is over approval\.largest_amount = ([\d,]+)$/, "operation.over.amount", ["value", "limit"]],
  [/^cluster (\S+) is among approval\.clusters$/, "operation.over.cluster", ["cluster"]],
  [/^EID ([\d, ]+): among approval\.eids$/, "operation.over.eids", ["eids"]],
  [/^(\d\d:\d\d) is within approval\.hours$/, "operation.over.hours", ["time"]],
];

export function reasonSaid(reason: string): Phrase | null {
  for (const [pattern, key, names] of KNOWN) {
    const found = pattern.exec(reason);
    if (found !== null) return { key, named: Object.fromEntries(names.map((name, index) => [name, found[index + 1] ?? ""])) };
  }
  return null;
}
