/** Which cells of a file's first rows its problems are about. */
import type { FileProblem, Upload } from "../../api/types";

export interface MarkedRow {
  /** the physical line where it starts */
  line: number;
  cells: string[];
  /** of the whole line */
  reasons: string[];
  /** of single cells, by their place */
  cellReasons: Map<number, string[]>;
}

/** A column as a problem names it: by its header, else `userid` and `amount`. -1: none of them. */
function placeOf(column: string, columns: readonly string[]): number {
  const place = columns.indexOf(column);
  if (place >= 0) return place;
  if (column === "userid") return 0;
  return column === "amount" && columns.length === 2 ? 1 : -1;
}

export function markSample(
  { columns, sample, sample_lines: lines }: Pick<Upload, "columns" | "sample" | "sample_lines">,
  problems: readonly FileProblem[],
): MarkedRow[] {
  return sample.map((cells, index) => {
    const line = lines[index] ?? 0;
    const row: MarkedRow = { line, cells, reasons: [], cellReasons: new Map() };
    for (const problem of problems.filter((each) => each.line === line)) {
      const place = problem.column === null ? -1 : placeOf(problem.column, columns);
      if (place < 0) row.reasons.push(problem.reason);
      else row.cellReasons.set(place, [...(row.cellReasons.get(place) ?? []), problem.reason]);
    }
    return row;
  });
}

/** Problems of the header: of lines before the first row. By the column's place, or of the whole line. */
export function markHead(
  { columns, sample_lines: lines }: Pick<Upload, "columns" | "sample_lines">,
  problems: readonly FileProblem[],
): Set<number> {
  const first = lines[0] ?? Infinity;
  const heads = problems.filter(({ line, column }) => line < first && column !== null);
  return new Set(heads.map(({ column }) => placeOf(column ?? "", columns)).filter((place) => place >= 0));
}
