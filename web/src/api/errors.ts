/** What goes wrong when the API is asked. Which words a person reads about it: parts/ErrorNote and `useErrorText`. */
import type { FieldProblem, FileProblem } from "./types";

/** What an answer's `data` may hold; see docs/errors.md. */
export interface ErrorData {
  problems?: (FieldProblem | FileProblem)[];
  total_problems?: number;
  limit?: string;
  value?: number;
  state?: string;
  operation?: number;
  repeats?: number[];
  earlier?: { id: number; operatorid: number | string; operatorname: string; create_time: string }[];
  retry_after_s?: number;
  reference?: string;
}

/** The server said no. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    /** the stable word, `WRONG_STATE` */
    readonly error: string,
    /** the server's own sentence, in English */
    readonly msg: string,
    readonly data: ErrorData = {},
    /** of the Retry-After header */
    readonly retryAfterS: number | null = null,
  ) {
    super(`${error}: ${msg}`);
  }
}

/** No answer came: the server or the way to it is away. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";

  constructor() {
    super("the server cannot be reached");
  }
}

/** Reads what is no success; a proxy in between may answer without our JSON. */
export function errorOf(status: number, body: unknown, retryAfter: string | null): ApiError {
  const seconds = retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : null;
  if (typeof body === "object" && body !== null && "error" in body && "msg" in body) {
    const { error, msg, data } = body as { error: string; msg: string; data?: ErrorData };
    return new ApiError(status, error, msg, data ?? {}, seconds);
  }
  return new ApiError(status, status >= 500 ? "UNAVAILABLE" : "UNEXPECTED", `HTTP ${status}`, {}, seconds);
}
