/** The problems of a file or of fields as a list to be saved. */
import type { FieldProblem, FileProblem } from "../api/types";

export type Problem = FileProblem | FieldProblem;

export const isOfFile = (problem: Problem): problem is FileProblem => "line" in problem;

/**
 * A CSV that Excel opens: with a byte order mark, CRLF, and no cell that it would take for a formula. `rest` is said at its
 * end, where there are problems that are not listed.
 */
export function problemsAsCsv(problems: readonly FileProblem[], head: readonly string[], rest = ""): string {
  const lines = problems.map(({ line, column, value, reason }) => [String(line), column ?? "", value ?? "", reason]);
  const last = rest === "" ? [] : [["", "", "", rest]];
  return "\uFEFF" + [[...head], ...lines, ...last].map((cells) => cells.map(quote).join(",") + "\r\n").join("");
}

function quote(cell: string): string {
  const harmless = /^[=+\-@\t\r]/.test(cell) && !/^-?\d+$/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/** Has the browser save a text as a file. */
export function saveText(text: string, name: string, type = "text/csv;charset=utf-8"): void {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
