/** Rules of forms about people and tokens, and how a token stands. */
import type { Grants, Int, Time, Token, User } from "../../api/types";
import { parseInteger } from "../../format/numbers";

export const PASSWORD_MIN = 12;
export const PASSWORD_MAX = 256;
export const OPERATORNAME_MAX = 64;
export const TOKEN_NAME_MAX = 64;
export const TOKEN_DAYS_MAX = 3650;
const NAME = /^[a-z0-9][a-z0-9._@-]{0,63}$/;
const OPERATOR_ID_MAX = 2n ** 63n - 1n;

/** What is wrong, as the last part of a text's key under admin.wrong. */
export type Wrong<Field extends string> = Partial<Record<Field, string>>;

/** 0 … 2^63-1, as digits: never through a float. */
export function operatorIdOf(text: string): string | null {
  const value = parseInteger(text);
  return value !== null && value >= 0n && value <= OPERATOR_ID_MAX ? String(value) : null;
}

/** As the server counts: characters, not UTF-16 units. */
export function wrongPassword(password: string): string | null {
  const length = [...password].length;
  if (length < PASSWORD_MIN) return "short";
  return length > PASSWORD_MAX ? "long" : null;
}

export interface UserForm extends Grants {
  name: string;
  operatorid: string;
  operatorname: string;
  password: string;
}

/** `added`: name, operatorid and password are asked for too, and have to be nobody else's. */
export function wrongInUser(
  form: UserForm,
  others: readonly Pick<User, "name" | "operatorid">[],
  added: boolean,
): Wrong<keyof UserForm> {
  const wrong: Wrong<keyof UserForm> = wrongInGrants(form);
  if (form.operatorname.trim() === "") wrong.operatorname = "missing";
  if (!added) return wrong;
  const [name, id, password] = [form.name.trim(), operatorIdOf(form.operatorid), wrongPassword(form.password)];
  if (!NAME.test(name)) wrong.name = "name";
  else if (others.some((other) => other.name === name)) wrong.name = "taken";
  if (id === null) wrong.operatorid = "operatorid";
  else if (others.some((other) => String(other.operatorid) === id)) wrong.operatorid = "taken";
  if (password !== null) wrong.password = password;
  return wrong;
}

/** An empty list would let nobody reach anything. */
export function wrongInGrants({ clusters, eids }: Grants): Wrong<keyof Grants> {
  return {
    ...(clusters?.length === 0 ? { clusters: "none" } : {}),
    ...(eids?.length === 0 ? { eids: "none" } : {}),
  };
}

export interface TokenForm extends Grants {
  name: string;
  /** empty: never expires */
  days: string;
  /** empty: a service's */
  operatorid: string;
  ofPerson: boolean;
}

export function wrongInToken(form: TokenForm): Wrong<"name" | "expires_days" | "operatorid" | keyof Grants> {
  const wrong: Wrong<"name" | "expires_days" | "operatorid" | keyof Grants> = wrongInGrants(form);
  if (form.name.trim() === "") wrong.name = "missing";
  if (form.days.trim() !== "" && daysOf(form.days) === null) wrong.expires_days = "days";
  if (form.ofPerson && operatorIdOf(form.operatorid) === null) wrong.operatorid = "operatorid";
  return wrong;
}

export function daysOf(text: string): number | null {
  const days = parseInteger(text);
  return days !== null && days >= 1n && days <= BigInt(TOKEN_DAYS_MAX) ? Number(days) : null;
}

export type TokenState = "valid" | "expired" | "revoked";

export function tokenState({ revoked, expires }: Pick<Token, "revoked" | "expires">, now: Date): TokenState {
  if (revoked !== null) return "revoked";
  return expires !== null && new Date(expires) <= now ? "expired" : "valid";
}

/** What of a user the form changes; nothing that is as it was, so that two admins do not undo each other. */
export function changesOf<Fields extends { operatorname: string; role: string } & Grants>(before: Fields, now: Fields) {
  const changed: Partial<Pick<Fields, "operatorname" | "role" | "clusters" | "eids">> = {};
  if (now.operatorname !== before.operatorname) changed.operatorname = now.operatorname;
  if (now.role !== before.role) changed.role = now.role;
  if (!sameSet(now.clusters, before.clusters)) changed.clusters = now.clusters;
  if (!sameSet(now.eids, before.eids)) changed.eids = now.eids;
  return changed;
}

function sameSet(a: readonly (string | number)[] | null, b: readonly (string | number)[] | null): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((each) => b.includes(each));
}

/** Of each user the newest, of log-ins newest first. */
export function lastLogIns(entries: readonly { who: string; time: Time }[]): Map<string, Time> {
  const last = new Map<string, Time>();
  for (const { who, time } of entries) {
    const name = /^user (\S+)/.exec(who)?.[1];
    if (name !== undefined && !last.has(name)) last.set(name, time);
  }
  return last;
}

export const sameOperator = (a: Int | null, b: Int | null) => a !== null && b !== null && String(a) === String(b);
