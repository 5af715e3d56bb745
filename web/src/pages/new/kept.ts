/**
 * The form as the browser keeps it in this page's entry of the history: a reload loses nothing and sends nothing twice.
 * It is one person's, for as long as they stay: whoever comes to the entry after them finds an empty form.
 */
import type { ModifyConfig } from "../../api/handin";
import type { Upload } from "../../api/types";

export interface UploadedFile {
  /** as it is called on the person's disk */
  name: string;
  upload: Upload;
}

export interface Fields {
  kind: "query" | "modify";
  cluster: string;
  eids: number[];
  mode: ModifyConfig["mode"];
  /** as typed */
  amount: string;
  duplicates: NonNullable<ModifyConfig["duplicates"]>;
  description: string;
  verify: NonNullable<ModifyConfig["verify"]>;
  /** as typed */
  canaryRows: string;
  canaryWait: boolean;
}

export interface Kept {
  file: UploadedFile | null;
  fields: Fields;
  /** of what was sent last: the same content has the same key, and so makes one operation */
  sent: { content: string; key: string } | null;
  /** the dry run whose plan is looked at */
  plan: number | null;
}

const ENTRY = "newOperation";
/** columns of the sample that are kept over a reload */
const COLUMNS_KEPT = 50;

export const newFields = (): Fields => ({
  kind: "query",
  cluster: "",
  eids: [],
  mode: "inc",
  amount: "",
  duplicates: "allow",
  description: "",
  verify: "none",
  canaryRows: "",
  canaryWait: false,
});

export const emptyForm = (): Kept => ({ file: null, fields: newFields(), sent: null, plan: null });

/** What is kept for `owner`; null where nothing is. What is kept for anybody else is forgotten. */
export function load(owner: string): Kept | null {
  const entry = (history.state as Record<string, (Partial<Kept> & { owner?: string }) | undefined> | null)?.[ENTRY];
  if (entry === undefined) return null;
  if (entry.owner !== owner) {
    put(undefined);
    return null;
  }
  const { file = null, fields, sent = null, plan = null } = entry;
  return { file, fields: { ...newFields(), ...fields }, sent, plan };
}

export function save(kept: Kept, owner: string): void {
  // plain values: the history takes no proxies
  put(JSON.parse(JSON.stringify({ ...kept, file: kept.file && narrowed(kept.file), owner })));
}

function put(entry: unknown): void {
  try {
    history.replaceState({ ...history.state, [ENTRY]: entry }, "");
  } catch {
    // too often, or too large for this browser: a reload begins anew then
  }
}

function narrowed(file: UploadedFile): UploadedFile {
  return { ...file, upload: { ...file.upload, sample: file.upload.sample.map((row) => row.slice(0, COLUMNS_KEPT)) } };
}

/** The key for this content: the last one's where it is the same, else a new one. */
export function keyFor(content: string, sent: Kept["sent"], make: () => string): NonNullable<Kept["sent"]> {
  return sent?.content === content ? sent : { content, key: make() };
}

/** 32 random hex digits; `randomUUID` is not there where a page comes by plain HTTP. */
export function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
