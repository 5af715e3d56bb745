/** From the form to what the API takes, and what is seen to be wrong before it is asked. Pure. */
import type { HandInConfig, ModifyConfig } from "../../api/handin";
import type { Operator } from "../../api/operations";
import { parseInteger } from "../../format/numbers";
import type { AmountSource } from "../../format/sentence";
import type { Field } from "./fieldErrors";
import type { Fields, UploadedFile } from "./kept";

export const DESCRIPTION_MAX = 255;
const AMOUNT_MAX = 2n ** 63n - 1n;
const AMOUNT_MIN = -(2n ** 63n);
const CANARY_MAX = 2n ** 32n - 1n;

export const DUPLICATES: Record<ModifyConfig["mode"], readonly Fields["duplicates"][]> = {
  inc: ["allow", "refuse"],
  dec: ["allow", "refuse"],
  set: ["refuse", "last"],
};

/** A query, or the dry run of a modify. `operator`: empty where the session says who asks. */
export function configOf(fields: Fields, amounts: AmountSource, operator: Partial<Operator>): HandInConfig | ModifyConfig {
  const description = fields.description.trim();
  const common: HandInConfig = {
    cluster: fields.cluster,
    eids: fields.eids,
    ...(description === "" ? {} : { description }),
    ...operator,
  };
  if (fields.kind === "query") return common;
  const canary = parseInteger(fields.canaryRows);
  return {
    ...common,
    mode: fields.mode,
    ...(amounts === "form" ? { amount: String(parseInteger(fields.amount)) } : {}),
    duplicates: fields.duplicates,
    dry_run: true,
    ...(fields.verify === "none" ? {} : { verify: fields.verify }),
    ...(canary === null || canary === 0n ? {} : { canary_rows: Number(canary) }),
    ...(fields.canaryWait ? { canary_wait: true } : {}),
  };
}

export type Wrong = Partial<Record<Field, string[]>>;

/** Reasons by field, in the server's words, so that they are shown as those are. */
export function checkFields(fields: Fields, file: UploadedFile | null, amounts: AmountSource, operator: Operator | null): Wrong {
  const wrong: Wrong = {};
  if (file === null) wrong.file = ["is missing"];
  if (fields.cluster === "") wrong.cluster = ["is missing"];
  if (fields.eids.length === 0) wrong.eids = ["is missing"];
  if (fields.kind === "modify" && amounts === "form") addTo(wrong, "amount", checkAmount(fields));
  if (fields.kind === "modify") addTo(wrong, "canary_rows", checkCanary(fields.canaryRows));
  if (fields.description.trim().length > DESCRIPTION_MAX) wrong.description = [`String should have at most ${DESCRIPTION_MAX} characters`];
  if (operator !== null) {
    const id = parseInteger(String(operator.operatorid));
    addTo(wrong, "operatorid", id === null ? missingOr(String(operator.operatorid)) : limits(id, 0n, AMOUNT_MAX));
    if (operator.operatorname.trim() === "") wrong.operatorname = ["is missing"];
  }
  return wrong;
}

function addTo(wrong: Wrong, field: Field, reason: string | null): void {
  if (reason !== null) wrong[field] = [reason];
}

const missingOr = (text: string): string => (text.trim() === "" ? "is missing" : "expected a whole number");

function checkAmount({ amount: text, mode }: Fields): string | null {
  const amount = parseInteger(text);
  if (amount === null) return missingOr(text);
  if (mode !== "set" && amount < 0n) return "must not be negative for inc and dec";
  return limits(amount, AMOUNT_MIN, AMOUNT_MAX);
}

function checkCanary(text: string): string | null {
  if (text.trim() === "") return null;
  const rows = parseInteger(text);
  return rows === null ? "expected a whole number" : limits(rows, 0n, CANARY_MAX);
}

function limits(value: bigint, least: bigint, most: bigint): string | null {
  if (value < least) return `below ${least}`;
  return value > most ? `over ${most}` : null;
}
