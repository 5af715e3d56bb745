/**
 * How everything stands, told by one stream (GET /events) for the whole page.
 *
 * A break is met by coming back, sooner or later as live/backoff says. The server restarting is such a break: a
 * PAUSE_MS long the page only says that it waits. Each connection begins with the operations in hand; what has ended
 * while nobody listened, and the latest of those that had ended before, are asked for then.
 */
import { computed, reactive, readonly } from "vue";

import { addressOf } from "../api/client";
import { getOperation, listOperations } from "../api/operations";
import { loadSession } from "../api/session";
import type { Cluster, Health, Incident, LedgerHealth, Operation } from "../api/types";
import { pauseMs } from "./backoff";
import { isUnfinished, learn } from "./known";

/** a break shorter than this shows nothing */
const UNNOTICED_MS = 1_500;
/** one shorter than this shows as a pause */
const PAUSE_MS = 12_000;
/** nothing heard for so long: the connection may be dead without knowing; another one is made */
const SILENCE_MS = 45_000;
/** of those that have ended, asked for at each connection */
const LATEST = 20;

export type Link = "connecting" | "live" | "pausing" | "lost";

const state = reactive({
  link: "connecting" as Link,
  /** since when nothing has come; null while live */
  lostAt: null as Date | null,
  operations: new Map<number, Operation>(),
  /** null until told */
  clusters: null as Cluster[] | null,
  ledger: null as LedgerHealth | null,
  health: null as Health | null,
  /** the newest ten */
  incidents: null as Incident[] | null,
});

let source: EventSource | null = null;
let attempt = 0;
/** comeBack asks, and will say when the next connection is made: a session that is told meanwhile makes none */
let returning = false;
let retryTimer: ReturnType<typeof setTimeout> | undefined;
let silenceTimer: ReturnType<typeof setTimeout> | undefined;
let breakTimers: ReturnType<typeof setTimeout>[] = [];

/** Begins to follow; does nothing while it does already. */
export function startLive(): void {
  if (source === null && retryTimer === undefined && !returning) connect();
}

/** Ends it and forgets everything: somebody else may log in next. */
export function stopLive(): void {
  disconnect();
  clearTimeout(retryTimer);
  retryTimer = undefined;
  attempt = 0;
  endBreak();
  Object.assign(state, { link: "connecting", operations: new Map(), clusters: null, ledger: null, health: null, incidents: null });
}

function connect(): void {
  retryTimer = undefined;
  const stream = new EventSource(addressOf("/events", { bigint: "string" }));
  source = stream;
  const take = (name: string, use: (data: never) => void) =>
    stream.addEventListener(name, (event) => {
      hear();
      use(JSON.parse((event as MessageEvent<string>).data) as never);
    });
  stream.onopen = () => {
    hear();
    attempt = 0;
    state.link = "live";
    endBreak();
  };
  stream.onerror = () => void comeBack();
  take("operations", ({ items }: { items: Operation[] }) => void catchUp(items));
  take("operation", (operation: Operation) => learn(state.operations, operation));
  take("clusters", (clusters: Cluster[]) => (state.clusters = clusters));
  take("ledger", (ledger: LedgerHealth) => (state.ledger = ledger));
  take("health", (health: Health) => (state.health = health));
  take("incidents", (incidents: Incident[]) => (state.incidents = incidents));
}

function disconnect(): void {
  clearTimeout(silenceTimer);
  source?.close();
  source = null;
}

async function comeBack(): Promise<void> {
  disconnect();
  beginBreak();
  // the stream does not say why it was refused: somebody may have to log in again
  returning = true;
  const loggedOut = await loadSession().then((session) => session === null, () => false);
  returning = false;
  if (loggedOut || source !== null || retryTimer !== undefined) return;
  retryTimer = setTimeout(connect, pauseMs(attempt++, Math.random()));
}

function hear(): void {
  clearTimeout(silenceTimer);
  silenceTimer = setTimeout(() => {
    disconnect();
    connect();
  }, SILENCE_MS);
}

function beginBreak(): void {
  if (state.lostAt !== null) return;
  state.lostAt = new Date();
  const show = (link: Link, afterMs: number) => setTimeout(() => (state.link = link), afterMs);
  breakTimers = [show("pausing", UNNOTICED_MS), show("lost", PAUSE_MS)];
}

function endBreak(): void {
  breakTimers.forEach(clearTimeout);
  breakTimers = [];
  state.lostAt = null;
}

/** Takes in what is in hand, and asks for what the stream does not tell: what has ended meanwhile, and the latest. */
async function catchUp(inHand: Operation[]): Promise<void> {
  const asking = source;
  const seen = new Set(inHand.map(({ id }) => id));
  const ended = [...state.operations.values()].filter((known) => isUnfinished(known) && !seen.has(known.id));
  inHand.forEach((operation) => learn(state.operations, operation));
  const asked = await Promise.allSettled([
    listOperations({ page_size: LATEST }).then(({ items }) => items),
    ...ended.map(async ({ id }) => [await getOperation(id)]),
  ]);
  // somebody else may have logged in meanwhile; another connection has asked by itself
  if (source !== asking) return;
  // what could not be told now is told by the stream as it changes, or at the next connection
  const told = asked.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  told.forEach((operation) => learn(state.operations, operation));
}

const newestFirst = computed(() => [...state.operations.values()].sort((a, b) => b.id - a.id));
const unfinished = computed(() => newestFirst.value.filter(isUnfinished));

export function useLive() {
  return {
    live: readonly(state) as Readonly<typeof state>,
    /** newest first */
    operations: newestFirst,
    unfinished,
    /** Takes in an operation that an answer brought, so that all pages show it at once. */
    learn: (operation: Operation) => learn(state.operations, operation),
    /** The same of a cluster. */
    learnCluster: (news: Cluster) =>
      (state.clusters = state.clusters?.map((known) => (known.name === news.name ? news : known)) ?? null),
    titleOf: (cluster: string) => state.clusters?.find(({ name }) => name === cluster)?.title || cluster,
  };
}
