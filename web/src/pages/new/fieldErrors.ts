/** Which field of the form an error of the API is about, and what is left for the form as a whole. */
import { ApiError } from "../../api/errors";
import type { FieldProblem, FileProblem } from "../../api/types";
import { isOfFile } from "../../parts/problems";

export const FIELDS = [
  "file",
  "cluster",
  "eids",
  "mode",
  "amount",
  "duplicates",
  "description",
  "verify",
  "canary_rows",
  "canary_wait",
  "only_if_unchanged",
  "operatorid",
  "operatorname",
] as const;
export type Field = (typeof FIELDS)[number];

export interface PlacedError {
  /** the server's reasons, by field */
  fields: Partial<Record<Field, string[]>>;
  /** the error as a whole belongs to this field: a limit of the file, a file that is gone */
  at: Field | null;
  /** of the file */
  problems: FileProblem[];
  totalProblems: number;
  /** shown for the form as a whole; null where fields and problems say everything */
  rest: unknown;
}

const NOTHING: PlacedError = { fields: {}, at: null, problems: [], totalProblems: 0, rest: null };

export const isField = (name: string): name is Field => FIELDS.includes(name as Field);

/** `handIn`: what is not found is the upload, and not an operation. */
export function placeError(error: unknown, handIn: boolean): PlacedError {
  if (!(error instanceof ApiError)) return { ...NOTHING, rest: error };
  const { problems = [], total_problems: total, limit } = error.data;
  if (error.error === "INVALID_FILE") {
    const ofFile = problems.filter(isOfFile);
    return { ...NOTHING, problems: ofFile, totalProblems: total ?? ofFile.length };
  }
  if (error.error === "INVALID_CONFIG") return placeProblems(error, problems.filter((each): each is FieldProblem => !isOfFile(each)));
  if (error.error === "TOO_LARGE") return { ...NOTHING, at: limit === "eids" ? "eids" : "file", rest: error };
  if (["NOT_FOUND", "GONE"].includes(error.error) && handIn) return { ...NOTHING, at: "file", rest: error };
  return { ...NOTHING, rest: error };
}

function placeProblems(error: ApiError, problems: FieldProblem[]): PlacedError {
  const fields: PlacedError["fields"] = {};
  for (const { field, reason } of problems) {
    // also `eids.3`, where the API names an item
    const name = field.split(".")[0] ?? "";
    if (isField(name)) fields[name] = [...(fields[name] ?? []), reason];
  }
  const placed = Object.values(fields).reduce((sum, reasons) => sum + reasons.length, 0);
  return { ...NOTHING, fields, rest: placed === problems.length && placed > 0 ? null : error };
}
