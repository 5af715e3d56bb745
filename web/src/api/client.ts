/** The one way to the API: same origin, the session's word along with changes, integers intact, errors as ApiError. */
import { ApiError, errorOf, UnreachableError } from "./errors";

export const PREFIX = "/api/v1";

export type Query = Record<string, string | number | boolean | null | undefined>;

/** Told in every change of a session; of GET /session. */
let xsrfToken: string | null = null;
let onUnauthenticated: () => void = () => undefined;

export function setXsrfToken(token: string | null): void {
  xsrfToken = token;
}

/** Has a function called whenever an answer says that nobody is logged in any more. */
export function whenUnauthenticated(act: () => void): void {
  onUnauthenticated = act;
}

/** The address of a path, for fetch, links and EventSource; what is undefined, null or empty is left out. */
export function addressOf(path: string, query: Query = {}): string {
  const filled = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(filled.map(([name, value]) => [name, String(value)])).toString();
  return `${PREFIX}${path}${search ? `?${search}` : ""}`;
}

/** Where a file is fetched from by a plain link: the browser saves it under its Chinese name. */
export function downloadAddress(name: string, options: { rows?: "failed" } = {}): string {
  return addressOf("/download", { name, ...options });
}

interface Ask {
  query?: Query;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** `data` and the status of a success. Raises ApiError, UnreachableError; an abort stays an AbortError. */
export async function ask<Data>(method: string, path: string, { query, body, headers, signal }: Ask = {}) {
  const own: Record<string, string> = { Accept: "application/json", ...headers };
  if (body !== undefined) own["Content-Type"] = "application/json";
  if (method !== "GET" && xsrfToken !== null) own["X-XSRF-Token"] = xsrfToken;
  let response: Response;
  let text: string;
  try {
    response = await fetch(addressOf(path, { ...query, bigint: "string" }), {
      method,
      headers: own,
      credentials: "same-origin",
      cache: "no-store",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new UnreachableError();
  }
  return { data: unwrap<Data>(response.status, text, response.headers.get("Retry-After"), path), status: response.status };
}

export const get = async <Data>(path: string, query?: Query, signal?: AbortSignal): Promise<Data> =>
  (await ask<Data>("GET", path, { ...(query ? { query } : {}), ...(signal ? { signal } : {}) })).data;

export const post = async <Data>(path: string, body: unknown = {}, headers?: Record<string, string>): Promise<Data> =>
  (await ask<Data>("POST", path, { body, ...(headers ? { headers } : {}) })).data;

export const put = async <Data>(path: string, body: unknown): Promise<Data> =>
  (await ask<Data>("PUT", path, { body })).data;

export const patch = async <Data>(path: string, body: unknown): Promise<Data> =>
  (await ask<Data>("PATCH", path, { body })).data;

export const remove = async <Data>(path: string): Promise<Data> => (await ask<Data>("DELETE", path)).data;

export interface Progress {
  sent: number;
  total: number;
}

/** Sends a form with a file. `fetch` cannot tell how much of a body has been sent, XMLHttpRequest can. */
export function send<Data>(
  path: string,
  form: FormData,
  onProgress: (progress: Progress) => void,
  signal?: AbortSignal,
): Promise<Data> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", addressOf(path, { bigint: "string" }));
    request.setRequestHeader("Accept", "application/json");
    if (xsrfToken !== null) request.setRequestHeader("X-XSRF-Token", xsrfToken);
    request.upload.onprogress = (event) => onProgress({ sent: event.loaded, total: event.total });
    request.onload = () => {
      try {
        resolve(unwrap<Data>(request.status, request.responseText, request.getResponseHeader("Retry-After"), path));
      } catch (error) {
        reject(error);
      }
    };
    request.onerror = () => reject(new UnreachableError());
    request.onabort = () => reject(new DOMException("the upload was given up", "AbortError"));
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

function unwrap<Data>(status: number, text: string, retryAfter: string | null, path: string): Data {
  const body = parse(text);
  if (status >= 200 && status < 300 && typeof body === "object" && body !== null && "data" in body) {
    return (body as { data: Data }).data;
  }
  const error = errorOf(status, body, retryAfter);
  // a wrong password is nobody's lost session
  if (error.error === "UNAUTHENTICATED" && !path.startsWith("/session")) onUnauthenticated();
  throw error;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export { ApiError, UnreachableError };
