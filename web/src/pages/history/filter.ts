/** The history's filter as the address holds it, so that a link can be sent, and as the API takes it. */
import type { OperationFilter } from "../../api/operations";
import { STATES, type Int, type Model, type Operation, type State } from "../../api/types";

export interface Filter {
  /** digits, or empty */
  operatorid: string;
  /** RFC 3339 in UTC, or empty: whoever gets the link sees the same, in whatever zone */
  from: string;
  to: string;
  cluster: string;
  model: Model | "";
  state: State | "";
  q: string;
  /** what is older than this operation; null: from the newest on */
  before: number | null;
}

export const NOTHING: Readonly<Filter> = { operatorid: "", from: "", to: "", cluster: "", model: "", state: "", q: "", before: null };
export const PAGE_SIZE = 50;
/** begins at the newest; see the API's `before` */
export const NEWEST = 2_147_483_647;

type Query = Record<string, unknown>;

const text = (value: unknown) => {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === "string" ? first.trim() : "";
};
const digits = (value: unknown) => (/^\d{1,19}$/.test(text(value)) ? text(value) : "");
const oneOf = <Value extends string>(value: unknown, allowed: readonly Value[]): Value | "" =>
  allowed.find((each) => each === text(value)) ?? "";

function moment(value: unknown): string {
  const time = new Date(text(value)).getTime();
  return Number.isNaN(time) ? "" : new Date(time).toISOString();
}

/** Whatever an address says: what is no filter is left out. */
export function fromQuery(query: Query): Filter {
  const before = Number(digits(query.before));
  return {
    operatorid: digits(query.operatorid),
    from: moment(query.from),
    to: moment(query.to),
    cluster: text(query.cluster),
    model: oneOf(query.model, ["query", "modify"]),
    state: oneOf(query.state, STATES),
    q: text(query.q),
    before: before >= 1 && before <= NEWEST ? before : null,
  };
}

/** What stands in the address: only what is set. */
export function toQuery(filter: Filter): Record<string, string> {
  const set = Object.entries(filter).filter(([, value]) => value !== "" && value !== null);
  return Object.fromEntries(set.map(([name, value]) => [name, String(value)]));
}

const conditions = (filter: Filter) => toQuery({ ...filter, before: null }) as OperationFilter;

export const askPage = (filter: Filter): OperationFilter => ({
  ...conditions(filter),
  before: filter.before ?? NEWEST,
  page_size: PAGE_SIZE,
});

/** Of all that fits, whichever page is shown. */
export const askTotal = (filter: Filter): OperationFilter => ({ ...conditions(filter), page_size: 1 });

/**
 * Whether what has come since belongs to the list. `own`: whose operations alone are listed where no operator is asked for;
 * null for everybody's. The name of the file, which `q` looks at too, is not told of an operation.
 */
export function fits(operation: Operation, filter: Filter, own: Int | null): boolean {
  const operatorid = filter.operatorid || (own === null ? "" : String(own));
  const handedIn = new Date(operation.create_time).getTime();
  const q = filter.q.toLowerCase();
  return (
    (operatorid === "" || BigInt(operatorid) === BigInt(operation.operatorid)) &&
    (filter.from === "" || handedIn >= new Date(filter.from).getTime()) &&
    (filter.to === "" || handedIn < new Date(filter.to).getTime()) &&
    (filter.cluster === "" || filter.cluster === operation.cluster) &&
    (filter.model === "" || filter.model === operation.model) &&
    (filter.state === "" || filter.state === operation.state) &&
    [operation.description, operation.note].some((text) => (text ?? "").toLowerCase().includes(q))
  );
}

/** Whether two addresses show the same list, page aside. */
export const sameList = (one: Filter, other: Filter): boolean =>
  JSON.stringify(toQuery({ ...one, before: null })) === JSON.stringify(toQuery({ ...other, before: null }));

/** For <input type="datetime-local">, in the browser's zone; empty for none. */
export function toLocalInput(time: string): string {
  if (time === "") return "";
  const date = new Date(time);
  const two = (part: number) => String(part).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

export const fromLocalInput = (typed: string): string => moment(typed);

/** The beginning of the day that was so many days ago, in the browser's zone. */
export function startOfDay(now: Date, daysAgo: number): string {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo).toISOString();
}
