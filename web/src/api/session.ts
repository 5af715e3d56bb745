/** Who is asking, and what they may do. One for the whole page. */
import { computed, readonly, ref } from "vue";

import { endStay } from "../shell/kept";
import { ApiError, ask, get, post, put, setXsrfToken, whenUnauthenticated } from "./client";
import { ROLES, type Role, type Session } from "./types";

const current = ref<Session | null>(null);

function keep(session: Session | null): void {
  current.value = session;
  setXsrfToken(session?.xsrf_token ?? null);
}

whenUnauthenticated(() => keep(null));

/** Asks who is asking; null where somebody has to log in. Raises UnreachableError and other ApiErrors. */
export async function loadSession(): Promise<Session | null> {
  try {
    keep(await get<Session>("/session"));
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    keep(null);
  }
  return current.value;
}

export async function logIn(name: string, password: string): Promise<void> {
  keep(await post<Session>("/session", { name, password }));
}

/** With the code of a one-time link. */
export async function enter(link: string): Promise<void> {
  keep(await post<Session>("/session", { link }));
}

/** `everywhere`: in every browser, not in this one alone. */
export async function logOut(everywhere = false): Promise<void> {
  await ask("DELETE", "/session", everywhere ? { query: { everywhere: 1 } } : {});
  endStay();
  keep(null);
}

/** Ends all of the user's sessions, this one too. */
export async function changePassword(old: string, chosen: string): Promise<void> {
  await put("/session/password", { old, new: chosen });
  endStay();
  keep(null);
}

export function useSession() {
  return {
    /** null until somebody is known */
    session: readonly(current),
    /** whether the role covers another one */
    may: (role: Role): boolean =>
      current.value !== null && ROLES.indexOf(current.value.role) >= ROLES.indexOf(role),
    /** authentication is off, or the caller is a service: a hand-in has to say for whom it is */
    needsOperator: computed(() => current.value !== null && current.value.operatorid === null),
    /** there is a session that can be ended */
    canLogOut: computed(() => (current.value?.xsrf_token ?? null) !== null),
  };
}
