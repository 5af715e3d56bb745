/** What a file's columns mean to a modify, as docs/files.md has it. The server decides; this only tells beforehand. */
import type { Upload } from "../../api/types";
import { parseInteger } from "../../format/numbers";
import type { AmountSource } from "../../format/sentence";

const AMOUNT_HEADERS = new Set(["amount", "数量", "points"]);

export interface AmountColumns {
  amounts: AmountSource;
  /** the column's name, where one has them all */
  column: string;
  /** the EIDs that columns are headed by */
  eids: number[];
}

const NONE: AmountColumns = { amounts: "form", column: "", eids: [] };

export function amountColumns({ columns, sample }: Pick<Upload, "columns" | "sample">): AmountColumns {
  const others = columns.slice(1);
  const named = others.find((column) => AMOUNT_HEADERS.has(column.toLowerCase()));
  if (named !== undefined) return { ...NONE, amounts: "column", column: named };
  const eids = others.map(parseInteger).filter((eid) => eid !== null && eid > 0n && eid < 2n ** 32n);
  if (eids.length > 0) return { ...NONE, amounts: "perEid", eids: eids.map(Number) };
  if (others.length === 1) return { ...NONE, amounts: "column", column: others[0] ?? "" };
  // a file of one column whose cells are cut by full-width separators
  const cut = columns.length === 1 && sample.some(([cell]) => /[，；]/.test(cell ?? ""));
  return cut ? { ...NONE, amounts: "column", column: "amount" } : NONE;
}
