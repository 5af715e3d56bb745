/** What the API answers, as docs/http-api.md and eomd/handlers/views.py have it. */

/** An integer that may exceed 2^53: a string of digits beyond it. Never calculate with it; see format/numbers. */
export type Int = number | string;
/** RFC 3339 with offset. */
export type Time = string;

export const ROLES = ["viewer", "operator", "approver", "admin"] as const;
export type Role = (typeof ROLES)[number];
export type Model = "query" | "modify";
export type Mode = "inc" | "dec" | "set" | "restore";
export const STATES = [
  "queued",
  "awaiting_approval",
  "running",
  "paused",
  "succeeded",
  "partial",
  "failed",
  "cancelled",
  "rejected",
  "foreign",
] as const;
export type State = (typeof STATES)[number];
export type PausedBy = "person" | "cluster" | "disk" | "brake" | "canary";

export interface Counts {
  total: number;
  /** answered, in whatever way */
  done: number;
  ok: number;
  failed: number;
  uncertain: number;
}

export interface Decision {
  approved: boolean;
  operatorid: Int;
  operatorname: string;
  reason: string;
  time: Time;
}

export interface Approval {
  /** what it is over */
  reasons: string[];
  expires: Time;
  /** null until somebody has decided */
  decision: Decision | null;
}

export interface Operation {
  id: number;
  model: Model;
  mode: Mode | null;
  cluster: string;
  eids: number[];
  note: string;
  description: string;
  operatorid: Int;
  operatorname: string;
  dry_run: boolean;
  parent: number | null;
  /** the dry run whose plan it carries out */
  plan: number | null;
  state: State;
  status: number | null;
  executed: number | null;
  handleres: number | null;
  paused_by: PausedBy | null;
  repeats: number[];
  approval: Approval | null;
  rows: Counts;
  rows_per_s: number;
  eta_s: number | null;
  message: string | null;
  sourcename: string | null;
  resultname: string | null;
  logname: string | null;
  verifyname: string | null;
  create_time: Time;
  last_modify_time: Time;
}

export interface Page<Item> {
  total: number;
  page: number;
  page_size: number;
  items: Item[];
}

/** `total` is null where nobody has counted. */
export type OperationPage = Omit<Page<Operation>, "total"> & { total: number | null };

export interface Rows {
  /** null where nobody has counted them */
  total: number | null;
  columns: string[];
  rows: string[][];
}

export interface Histogram {
  /** one more than counts; a bar holds its lower edge, the last bar both */
  edges: Int[];
  counts: number[];
}

export interface Statistics {
  rows: number;
  min: Int | null;
  max: Int | null;
  mean: number | null;
  sum: Int | null;
  histogram: Histogram | null;
}

/** Of a query the values; of a modify before and after. */
export type EidSummary = Statistics | { before: Statistics; after: Statistics };

export interface LargestChange {
  /** from 0 */
  row: number;
  user: Int;
  before: Int;
  after: Int;
}

export interface Plan {
  hash: string;
  rows: { change: number; same: number; fail: number; superseded: number };
  doubled_users: number;
  eids: Record<string, { up: Int; down: Int; largest: LargestChange[] }>;
}

export interface Summary {
  /** rows by status, as the result names them */
  statuses: Record<string, number>;
  eids: Record<string, EidSummary>;
  /** of a dry run */
  plan?: Plan;
}

export interface UncertainRow {
  /** from 0 */
  row: number;
  user: Int;
  amounts: Int[];
  before: Int[] | null;
  after: Int[] | null;
  now: Int[] | null;
  now_status: string | null;
  settled: "applied" | "not_applied" | "send_again" | null;
}

export interface Uncertain {
  total: number;
  open: number;
  items: UncertainRow[];
}

export interface FileProblem {
  line: number;
  column: string | null;
  value: string | null;
  reason: string;
}

export interface FieldProblem {
  field: string;
  reason: string;
}

export interface Upload {
  sourcename: string;
  bytes: number;
  rows: number;
  encoding: string | null;
  delimiter: string | null;
  columns: string[];
  sample: string[][];
  /** the physical line, from 1, of each of them */
  sample_lines: number[];
  problems: FileProblem[];
  total_problems: number;
}

export interface Probe {
  state: string;
  since: Time;
  latency_ms: number | null;
}

export const NODE_STATES = ["connecting", "up", "draining", "down", "misconfigured"] as const;

export interface Node {
  address: string;
  /** as the node calls itself */
  name: string | null;
  state: (typeof NODE_STATES)[number];
  since: Time;
  latency_ms: number | null;
  connections: number;
  budget: number;
  inflight: number;
  capabilities: string[];
  last_error: string | null;
  probe: Probe | null;
}

export const CLUSTER_STATES = ["up", "degraded", "down", "drained"] as const;

export interface Cluster {
  name: string;
  title: string;
  codec: string;
  state: (typeof CLUSTER_STATES)[number];
  rows_per_s: number;
  drain: boolean;
  nodes: Node[];
}

export interface EidDefinition {
  cluster: string;
  eid: number;
  name: string;
  unit: string;
  minimum: Int | null;
  maximum: Int | null;
  editable: boolean;
}

export interface Definitions {
  clusters: { name: string; title: string }[];
  eids: EidDefinition[];
}

/** What somebody may reach; null: whichever there are. */
export interface Grants {
  clusters: string[] | null;
  eids: number[] | null;
}

export interface Session extends Grants {
  /** `user li`, `token mis`, `token li of operator 7 (李)`, `anybody` */
  name: string;
  role: Role;
  operatorid: Int | null;
  operatorname: string;
  expires: Time | null;
  xsrf_token: string | null;
}

export interface User extends Grants {
  name: string;
  operatorid: Int;
  operatorname: string;
  role: Role;
  created: Time;
  disabled: Time | null;
  locked_until: Time | null;
}

export interface Token extends Grants {
  id: string;
  name: string;
  role: Role;
  created: Time;
  expires: Time | null;
  revoked: Time | null;
  operatorid: Int | null;
  operatorname: string;
}

export interface NewToken extends Token {
  /** shown this once */
  token: string;
}

export interface Remedy {
  what: string;
  when: Time;
  outcome: string;
}

export interface Incident {
  id: string;
  kind: string;
  subject: string;
  severity: "notice" | "warning" | "critical";
  opened: Time;
  /** null while it lasts */
  closed: Time | null;
  summary: string;
  remedies: Remedy[];
}

export interface LedgerHealth {
  state: "up" | "down";
  since: Time;
  latency_ms: number | null;
  last_error: string | null;
  /** changes that wait until it is back */
  spooled: number;
  /** as the watchdog sees it; null without one */
  probe: string | null;
}

export interface Disk {
  state: "up" | "low" | "short";
  /** null where only the server has looked */
  since: Time | null;
  free_mb: number;
  min_free_mb: number;
}

/** The server as the watchdog sees it. */
export interface WatchedServer {
  state: string;
  since: Time;
  pid: number | null;
  /** ends in a row that nobody ordered */
  failures: number;
  rss_mb: number | null;
}

export interface Watchdog {
  state: "present" | "absent";
  since: Time;
  /** where it is present */
  incidents_open?: number;
  server?: WatchedServer | null;
}

export interface Inbox {
  /** `off` has nothing beside it */
  state: string;
  path?: string;
  since?: Time;
  waiting?: number;
  claimed?: number;
  claimed_ever?: number;
  reason?: string | null;
}

export interface Clock {
  state: string;
  /** since when nobody has set it */
  since: Time;
  /** by how much it was set then */
  jump_s: number;
}

export interface Components {
  server: { state: "ready" | "draining"; since: Time; requests: number };
  ledger: LedgerHealth;
  clusters: Record<string, Cluster["state"]>;
  operations: { queued: number; running: number };
  disk: Disk;
  watchdog: Watchdog;
  /** both are told by the watchdog */
  inbox?: Inbox;
  clock?: Clock;
}

export interface Health {
  status: "ok" | "degraded" | "down";
  version: string;
  commit: string;
  started: Time;
  components?: Components;
}

/** A number per point; null where it is not known. */
export interface Series {
  rows_per_s: (number | null)[];
  latency_ms: (number | null)[];
}

export interface Activity extends Series {
  step_s: number;
  /** the beginning of the first point */
  start: Time;
  points: number;
  clusters: (Series & { name: string; nodes: (Series & { address: string })[] })[];
}

export interface TimelineEvent {
  time: Time;
  /** a state that was entered, an act, or `note` */
  what: string;
  /** of an act */
  who: string | null;
  text: string | null;
  by: PausedBy | null;
  rows: Counts | null;
  /** the parent it came of, the child that came of it */
  related: number | null;
}

/** 0 and nothing: no such limit. */
export interface ApprovalRules {
  on: boolean;
  rows: number;
  total_amount: Int;
  largest_amount: Int;
  clusters: string[];
  eids: number[];
  /** `20:00-08:00`, in `time_zone` */
  hours: string[];
  time_zone: string;
  expires_hours: number;
}

export interface Recipe {
  /** of the folder */
  name: string;
  cluster: string;
  model: Model;
  eids: number[];
  mode: Mode | null;
  amount: Int | null;
  duplicates: string | null;
  dry_run: boolean;
  only_if_unchanged: boolean;
  confirm_repeat: boolean;
  canary_rows: number;
  canary_wait: boolean;
  verify: string;
  description: string;
  operatorid: Int | null;
  operatorname: string | null;
}

export interface Recipes {
  enabled: boolean;
  path: string;
  recipes: Recipe[];
}

export interface AuditEntry {
  id: Int;
  time: Time;
  who: string;
  action: string;
  subject: string;
  detail: Record<string, unknown>;
  address: string;
}

export interface Audit {
  items: AuditEntry[];
  /** asked for with it, the next page comes; null after the last */
  before: Int | null;
}

export interface DiaryEntry {
  at: Time;
  what: string;
  why: string;
  pid: number | null;
  /** an exit code; below 0 a signal's number */
  code: number | null;
  lived_s: number | null;
}
