/** Which actions an operation's page offers: those that its state allows and the role covers. As docs/states.md has it. */
import { ROLES, type Operation, type Role, type State } from "../../api/types";

export type Offer = "pause" | "resume" | "cancel" | "retry" | "undo" | "commit" | "decide" | "lookAtUncertain" | "settle" | "evidence";

const ENDED: readonly State[] = ["succeeded", "partial", "failed", "cancelled"];
const ALL_ENDED: readonly State[] = [...ENDED, "rejected"];
/** pauses that only a person lifts; the others end by themselves */
const LIFTED_BY_PEOPLE = ["person", "brake", "canary"];

export const hasEnded = ({ state }: Pick<Operation, "state">): boolean => ALL_ENDED.includes(state);

/** Rows that were not sent when it was cancelled or failed. */
export const unsentRows = ({ rows }: Pick<Operation, "rows">): number => Math.max(0, rows.total - rows.done);

/** Of a dry run: the plan of an undo, whose parent has changed something; a repeated dry run has a dry run before it. */
export const isUndoPlan = (operation: Operation, parent: Operation | null): boolean =>
  operation.dry_run && parent !== null && !parent.dry_run;

/** The plan of an undo is made again, not tried again. */
const isMadeAgain = ({ dry_run: dry, parent }: Operation) => dry && parent !== null;

const changes = ({ model, dry_run: dry }: Operation) => model === "modify" && !dry;

const POSSIBLE: Record<Offer, { role: Role; when: (operation: Operation) => boolean }> = {
  pause: { role: "operator", when: ({ state }) => state === "queued" || state === "running" },
  resume: {
    role: "operator",
    when: ({ state, paused_by: by }) => state === "paused" && by !== null && LIFTED_BY_PEOPLE.includes(by),
  },
  cancel: { role: "operator", when: ({ state }) => ["queued", "awaiting_approval", "running", "paused"].includes(state) },
  retry: {
    role: "operator",
    when: (operation) =>
      ENDED.includes(operation.state) && (operation.rows.failed > 0 || unsentRows(operation) > 0) && !isMadeAgain(operation),
  },
  undo: {
    role: "operator",
    when: (operation) => ENDED.includes(operation.state) && changes(operation) && operation.rows.ok > 0,
  },
  commit: { role: "operator", when: ({ state, dry_run: dry }) => dry && (state === "succeeded" || state === "partial") },
  decide: { role: "approver", when: ({ state }) => state === "awaiting_approval" },
  lookAtUncertain: {
    role: "operator",
    when: (operation) => ENDED.includes(operation.state) && changes(operation) && operation.rows.uncertain > 0,
  },
  settle: {
    role: "approver",
    when: (operation) => ENDED.includes(operation.state) && changes(operation) && operation.rows.uncertain > 0,
  },
  evidence: { role: "approver", when: hasEnded },
};

export function offers(operation: Operation, role: Role | null): Set<Offer> {
  if (role === null || operation.state === "foreign") return new Set();
  const covers = (needed: Role) => ROLES.indexOf(role) >= ROLES.indexOf(needed);
  const all = Object.entries(POSSIBLE) as [Offer, (typeof POSSIBLE)[Offer]][];
  return new Set(all.filter(([, { role: needed, when }]) => covers(needed) && when(operation)).map(([offer]) => offer));
}

/** Why somebody may not decide; null where they may. Who handed it in never may, whatever their role. */
export function whyNotDecide(
  operation: Operation, who: { role: Role; operatorid: string | number | null },
): "own" | "role" | null {
  if (who.operatorid !== null && String(who.operatorid) === String(operation.operatorid)) return "own";
  return ROLES.indexOf(who.role) < ROLES.indexOf("approver") ? "role" : null;
}

export type Relation = "commit" | "undo" | "undoPlan" | "again" | "child";

/** What an operation is to the one that it comes of. */
export function relationOf(operation: Operation, parent: Operation): Relation {
  if (isUndoPlan(operation, parent)) return "undoPlan";
  if (parent.dry_run && !operation.dry_run) return "commit";
  if (parent.mode === null) return "again";
  const inverse = { inc: "dec", dec: "inc", set: "restore", restore: "" }[parent.mode];
  if (operation.mode === inverse) return "undo";
  // what was restored is given back by restoring, and tried again by restoring
  return parent.mode === "restore" ? "child" : "again";
}
