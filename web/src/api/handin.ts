/** Handing a file in: upload first, then as many hand-ins of it as one likes. */
import { ask, send, type Progress } from "./client";
import type { Int, Mode, Operation, Upload } from "./types";

export interface HandInConfig {
  cluster: string;
  eids: number[];
  operatorid?: Int;
  operatorname?: string;
  description?: string;
  wait_s?: number;
}

export interface ModifyConfig extends HandInConfig {
  mode: Exclude<Mode, "restore">;
  amount?: Int;
  duplicates?: "allow" | "refuse" | "last";
  dry_run?: boolean;
  confirm_repeat?: boolean;
  canary_rows?: number;
  canary_wait?: boolean;
  verify?: "none" | "sample" | "all";
}

export function upload(file: File, onProgress: (progress: Progress) => void, signal?: AbortSignal): Promise<Upload> {
  const form = new FormData();
  form.append("file", file, file.name);
  return send<Upload>("/upload", form, onProgress, signal);
}

/** Makes an operation of an upload. The same key makes one operation, however often it is sent. */
export async function handIn(sourcename: string, config: HandInConfig | ModifyConfig, key: string) {
  const path = "mode" in config ? "/modify" : "/query";
  const headers = { "Idempotency-Key": key };
  return (await ask<Operation>("POST", path, { body: { sourcename, config }, headers })).data;
}
