/** What is wrong with the fields of a form, by the field's name in the API. */
import { ApiError } from "../api/errors";

export interface FieldNote {
  text: string;
  /** of the server's own words, which are said in the reader's where they are known */
  lang?: "en" | undefined;
}

export type FieldNotes = Partial<Record<string, readonly FieldNote[]>>;

/** In the server's own words. */
export const noteOf = (reason: string): FieldNote => ({ text: reason, lang: "en" });

/** A refusal as notes at the fields of a form; null where it is about anything else too. */
export function notesOf(error: unknown, fields: readonly string[]): FieldNotes | null {
  const problems = error instanceof ApiError ? (error.data.problems ?? []) : [];
  const notes: FieldNotes = {};
  for (const problem of problems) {
    // clusters.3 is a problem of clusters
    const field = "field" in problem ? fields.find((name) => name === problem.field.split(".")[0]) : undefined;
    if (field === undefined) return null;
    notes[field] = [...(notes[field] ?? []), noteOf(problem.reason)];
  }
  return problems.length > 0 ? notes : null;
}
