/** The audit's filter in the address, its times as a form has them, its details as a person reads them. */
import type { LocationQuery, LocationQueryRaw } from "vue-router";

import type { AuditFilter } from "../../api/records";

export const ACTIONS = [
  "hand_in", "cancel", "pause", "resume", "approve", "reject", "expire", "commit", "retry", "undo", "undo-plan", "settle", "evidence",
  "set_cluster", "put_definitions", "add_user", "change_user", "change_password", "log_in", "log_out", "make_link",
  "add_token", "revoke_token",
] as const;

/** As the form has it; times in the browser's zone, `2026-01-31T08:00`. */
export interface AuditForm {
  operation: string;
  who: string;
  action: string;
  from: string;
  to: string;
}

const textOf = (value: LocationQuery[string] | undefined) => (Array.isArray(value) ? value[0] : value) ?? "";

/** What an address asks for; whatever is no value of a field is left out. */
export function filterOf(query: LocationQuery): AuditFilter {
  const filter: AuditFilter = {};
  const operation = textOf(query.operation);
  if (/^[1-9]\d{0,9}$/.test(operation) && Number(operation) < 2 ** 31) filter.operation = Number(operation);
  const who = textOf(query.who).trim().slice(0, 64);
  if (who) filter.who = who;
  const action = textOf(query.action);
  if (/^[\w-]{1,64}$/.test(action)) filter.action = action;
  for (const bound of ["from", "to"] as const) {
    const time = new Date(textOf(query[bound]));
    if (!Number.isNaN(time.getTime())) filter[bound] = time.toISOString();
  }
  const before = textOf(query.before);
  if (/^[1-9]\d{0,18}$/.test(before)) filter.before = before;
  return filter;
}

export function formOf(filter: AuditFilter): AuditForm {
  return {
    operation: filter.operation === undefined ? "" : String(filter.operation),
    who: filter.who ?? "",
    action: filter.action ?? "",
    from: filter.from === undefined ? "" : localOf(new Date(filter.from)),
    to: filter.to === undefined ? "" : localOf(new Date(filter.to)),
  };
}

/** The address of what a form asks for, from its first page on. */
export function queryOf(form: AuditForm): LocationQueryRaw {
  const query: LocationQueryRaw = {};
  if (form.operation.trim()) query.operation = form.operation.trim();
  if (form.who.trim()) query.who = form.who.trim();
  if (form.action) query.action = form.action;
  if (form.from) query.from = new Date(form.from).toISOString();
  if (form.to) query.to = new Date(form.to).toISOString();
  return query;
}

function localOf(time: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date}T${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** The operation that an entry is about. */
export function operationOf(subject: string): string | null {
  return /^operation (\d+)$/.exec(subject)?.[1] ?? null;
}

/** What another entry is about, and its name: a user, a token, a cluster, the definitions. */
export function subjectOf(subject: string): { kind: "user" | "token" | "cluster" | "definitions"; name: string } | null {
  const [, kind, name = ""] = /^(user|token|cluster|definitions)(?: (.+))?$/.exec(subject) ?? [];
  return kind === undefined ? null : { kind: kind as "user", name };
}

/** Names and values of a detail, nested ones by their path; lists of plain values in one line. */
export function linesOf(detail: Record<string, unknown>, under = ""): { name: string; value: unknown }[] {
  return Object.entries(detail).flatMap(([key, value]) => {
    const name = under + key;
    const nested = typeof value === "object" && value !== null && !Array.isArray(value);
    return nested ? linesOf(value as Record<string, unknown>, `${name}.`) : [{ name, value }];
  });
}
