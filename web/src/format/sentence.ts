/** What a hand-in will do, in a sentence. Pure: the words come by `say`, the language by its tag. */
import { formatInt } from "./numbers";

/** Where a modify's amounts stand: in the form, in one column of the file, in a column per EID. */
export type AmountSource = "form" | "column" | "perEid";

export interface Intent {
  mode: "inc" | "dec" | "set" | null;
  /** null while none, or none that is a number, has been given */
  amount: bigint | null;
  amounts: AmountSource;
  /** the column's name, where one has them all */
  column: string;
  eids: readonly { eid: number; name: string; unit: string }[];
  rows: number;
  cluster: string;
}

export type Say = (key: string, named: Record<string, unknown>, plural: number) => string;

/** 活动积分 (1001); the number alone where it has no name. */
export function nameOfEid({ eid, name }: { eid: number; name: string }): string {
  return name === "" ? String(eid) : `${name} (${eid})`;
}

/** null while something is missing that the sentence needs. `mode` null: a query. */
export function sentenceOf(intent: Intent, say: Say, language: string): string | null {
  const { mode, amount, amounts, column, rows, cluster } = intent;
  if (intent.eids.length === 0 || cluster === "" || rows === 0) return null;
  if (mode !== null && amounts === "form" && amount === null) return null;
  const named = {
    eids: new Intl.ListFormat(language, { type: "conjunction" }).format(intent.eids.map(nameOfEid)),
    players: say("newOperation.players", { number: formatInt(rows, language) }, rows),
    cluster,
    column,
    amount: amount === null ? "" : withUnit(amount, intent.eids, language),
  };
  const what = mode === null ? "query" : `${mode}.${amounts}`;
  return say(`newOperation.sentence.${what}`, named, 1);
}

/** With its unit, where all of the counters have the same. */
function withUnit(amount: bigint, eids: Intent["eids"], language: string): string {
  const unit = eids[0]?.unit ?? "";
  const same = unit !== "" && eids.every((eid) => eid.unit === unit);
  return same ? `${formatInt(amount, language)} ${unit}` : formatInt(amount, language);
}
