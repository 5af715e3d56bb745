/** Which counters an EidPicker offers for what has been typed. Pure. */
import { parseInteger } from "../format/numbers";

export const EIDS_MAX = 16;
const EID_MAX = 2n ** 32n - 1n;

export interface EidOption {
  eid: number;
  name: string;
  unit: string;
  /** why it cannot be chosen; absent: it can */
  barred?: string;
}

/** Options by number or name, those that begin so first. An unlisted number is offered where `open`. */
export function searchEids(
  options: readonly EidOption[],
  text: string,
  { open, chosen }: { open: boolean; chosen: readonly number[] },
): EidOption[] {
  const wanted = text.normalize("NFKC").trim().toLowerCase();
  const rank = ({ eid, name }: EidOption): number => {
    const lower = name.normalize("NFKC").toLowerCase();
    if (String(eid) === wanted) return 0;
    if (String(eid).startsWith(wanted) || lower.startsWith(wanted)) return 1;
    return lower.includes(wanted) || String(eid).includes(wanted) ? 2 : 3;
  };
  const found = options
    .map((option) => ({ option, rank: rank(option) }))
    .filter((each) => each.rank < 3)
    .sort((a, b) => a.rank - b.rank || a.option.eid - b.option.eid)
    .map(({ option }) => option);
  const typed = parseInteger(wanted);
  const unlisted = typed !== null && typed > 0n && typed <= EID_MAX && !options.some(({ eid }) => BigInt(eid) === typed);
  if (open && unlisted && !chosen.includes(Number(typed))) found.push({ eid: Number(typed), name: "", unit: "" });
  return found;
}
