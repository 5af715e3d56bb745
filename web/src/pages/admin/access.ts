/** Who may reach which page of the administration: as the table of routes has it for what the page asks. */
import { ROLES, type Grants, type Role } from "../../api/types";

/** `whole`: concerns all clusters, so that it is closed to whoever is limited to some; see docs/people.md. */
export const ACCESS = {
  users: { role: "admin", whole: true },
  tokens: { role: "admin", whole: true },
  definitions: { role: "viewer", whole: false },
  recipes: { role: "viewer", whole: false },
  approval: { role: "viewer", whole: false },
  audit: { role: "admin", whole: true },
} as const satisfies Record<string, { role: Role; whole: boolean }>;

export type AdminPage = keyof typeof ACCESS;

export function mayReach(page: AdminPage, who: { role: Role; clusters: readonly string[] | null; eids: readonly number[] | null }): boolean {
  const { role, whole } = ACCESS[page];
  return ROLES.indexOf(who.role) >= ROLES.indexOf(role) && !(whole && isLimited(who));
}

export const isLimited = ({ clusters, eids }: { [Name in keyof Grants]: readonly unknown[] | null }) => clusters !== null || eids !== null;
