/** What there is to download: what it is called, how large it is, the end of a log. */
import { addressOf } from "./client";
import { errorOf, UnreachableError } from "./errors";

export interface FileFacts {
  /** as the browser saves it */
  name: string;
  bytes: number | null;
}

async function fetchRaw(address: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, { credentials: "same-origin", cache: "no-store", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new UnreachableError();
  }
  if (!response.ok) throw errorOf(response.status, await parse(response), response.headers.get("Retry-After"));
  return response;
}

async function parse(response: Response): Promise<unknown> {
  return response.json().catch(() => null);
}

/** The name that a Content-Disposition tells, in UTF-8 where it is there. */
export function nameIn(disposition: string | null, otherwise: string): string {
  const extended = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "")?.[1];
  try {
    if (extended !== undefined) return decodeURIComponent(extended);
  } catch {
    return otherwise;
  }
  return /filename="([^"]+)"/i.exec(disposition ?? "")?.[1] ?? otherwise;
}

/** Asks for the head of a download. Raises ApiError (410: removed by retention), UnreachableError. */
export async function describeFile(address: string, name: string, signal?: AbortSignal): Promise<FileFacts> {
  const { headers } = await fetchRaw(address, { method: "HEAD", ...(signal ? { signal } : {}) });
  const length = headers.get("Content-Length");
  return { name: nameIn(headers.get("Content-Disposition"), name), bytes: length === null ? null : Number(length) };
}

export interface TextEnd {
  /** whole lines, the last ones of the file */
  lines: string[];
  /** whether there is more before them */
  more: boolean;
}

/** The last `bytes` of a text. Raises ApiError, UnreachableError. */
export async function getTextEnd(name: string, bytes: number, signal?: AbortSignal): Promise<TextEnd> {
  const headers = { Range: `bytes=-${bytes}` };
  const response = await fetchRaw(addressOf("/download", { name, bom: 0 }), { headers, ...(signal ? { signal } : {}) });
  const range = /^bytes (\d+)-/.exec(response.headers.get("Content-Range") ?? "");
  return endOf(await response.text(), range !== null && range[1] !== "0");
}

/** The lines of a text's end; where it was cut the first one is not whole. */
export function endOf(text: string, cut: boolean): TextEnd {
  const lines = text.replace(/\n$/, "").split("\n");
  return { lines: text === "" ? [] : cut ? lines.slice(1) : lines, more: cut };
}
