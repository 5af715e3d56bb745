/** Operations: listing, looking at, acting on. */
import { addressOf, ask, get, post } from "./client";
import type { Int, Model, Operation, OperationPage, Rows, State, Summary, Uncertain } from "./types";

export interface OperationFilter {
  operatorid?: Int;
  from?: string;
  to?: string;
  state?: State;
  cluster?: string;
  model?: Model;
  q?: string;
  /** older than the operation of this id: nothing shifts while new ones come, and `total` is null */
  before?: number;
  page?: number;
  page_size?: number;
}

export type Action = "cancel" | "pause" | "resume";
export type Derivation = "commit" | "retry" | "undo";

/** Who decides or asks, where the session does not tell by itself. */
export interface Operator {
  operatorid: Int;
  operatorname: string;
}

const at = (id: number | string, what = "") => `/operations/${encodeURIComponent(id)}${what}`;

export const listOperations = (filter: OperationFilter, signal?: AbortSignal) =>
  get<OperationPage>("/queryoperationsbyoperatorid", { ...filter }, signal);

export const getOperation = (id: number | string, signal?: AbortSignal) => get<Operation>(at(id), {}, signal);

export const getSummary = (id: number, signal?: AbortSignal) => get<Summary>(at(id, "/summary"), {}, signal);

export const getRows = (
  id: number,
  page: { status?: string; user?: Int; offset?: number; limit?: number },
  signal?: AbortSignal,
) => get<Rows>(at(id, "/rows"), page, signal);

export const getUncertain = (id: number, page: { offset?: number; limit?: number }, signal?: AbortSignal) =>
  get<Uncertain>(at(id, "/settle"), page, signal);

/** Of a zip of everything; approvers'. */
export const evidenceAddress = (id: number) => addressOf(at(id, "/evidence"));

export const act = (id: number, action: Action) => post<Operation>(at(id, `/${action}`));

export const decide = (id: number, approve: boolean, said: { reason: string } & Partial<Operator>) =>
  post<Operation>(at(id, approve ? "/approve" : "/reject"), said);

/** The child, and whether this call made it: each comes of an operation once. */
export async function derive(id: number, kind: Derivation, fields: Record<string, unknown> = {}) {
  const { data, status } = await ask<Operation>("POST", at(id, `/${kind}`), { body: fields });
  return { operation: data, made: status === 201 };
}

export const settle = (
  id: number,
  verdict: { rows: number[] | "all"; as: "applied" | "not_applied" | "send_again" } & Partial<Operator>,
) => post<Operation>(at(id, "/settle"), verdict);
