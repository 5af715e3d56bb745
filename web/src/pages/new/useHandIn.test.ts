/** Whose form it is: what is kept in a tab's history is shown to nobody else. */
import { beforeEach, expect, it, vi } from "vitest";
import { effectScope, nextTick, type EffectScope } from "vue";

import { loadSession, logIn, logOut } from "../../api/session";
import { useHandIn } from "./useHandIn";

const server = vi.hoisted(() => ({ asker: "", end: (): void => undefined }));
vi.mock("../../api/client", () => ({
  post: () => Promise.resolve({ name: server.asker, operatorid: 7, xsrf_token: "x" }),
  get: () => Promise.resolve({ name: server.asker, operatorid: 7, xsrf_token: "x" }),
  ask: () => Promise.resolve(),
  setXsrfToken: () => undefined,
  whenUnauthenticated: (end: () => void) => (server.end = end),
}));

const page = { state: null as unknown, replaceState: (state: unknown) => (page.state = state) };
let scope: EffectScope;

/** Opens the page at the entry of the history that it had before. */
function open() {
  scope?.stop();
  scope = effectScope();
  const form = scope.run(useHandIn);
  if (form === undefined) throw new Error("no form");
  return form;
}

async function enter(who: string): Promise<void> {
  server.asker = who;
  await logIn("", "");
}

/** Fills in a form, which the browser keeps then. */
async function fillIn(): Promise<void> {
  const { fields } = open();
  fields.cluster = "fish";
  await nextTick();
  Object.assign(fields, { eids: [1001], description: "give away" });
  await vi.advanceTimersByTimeAsync(1_000);
}

beforeEach(async () => {
  vi.useFakeTimers();
  const stored = new Map<string, string>();
  vi.stubGlobal("sessionStorage", { getItem: (key: string) => stored.get(key) ?? null, setItem: (key: string, value: string) => stored.set(key, value) });
  vi.stubGlobal("history", page);
  vi.stubGlobal("addEventListener", () => undefined);
  vi.stubGlobal("removeEventListener", () => undefined);
  page.state = null;
  await enter("user li");
  await fillIn();
});

it("is found again by whom it belongs to, also after the session has ended by itself", async () => {
  expect(open().fields.description).toBe("give away");
  server.end();
  await enter("user li");
  expect(open().fields).toMatchObject({ cluster: "fish", eids: [1001] });
});

it("is empty for whoever logs in next, and gone", async () => {
  server.end();
  await enter("user wang");
  expect(open().fields).toMatchObject({ cluster: "", description: "" });
  expect(JSON.stringify(page.state)).not.toContain("give away");
  server.end();
  await enter("user li");
  expect(open().fields.description).toBe("");
});

it("ends with a log-out, for the same person too", async () => {
  await logOut();
  await enter("user li");
  expect(open().fields.description).toBe("");
});

it("is emptied before the eyes of somebody else, who has logged in in another tab", async () => {
  const { fields } = open();
  server.asker = "user wang";
  await loadSession();
  await nextTick();
  expect(fields).toMatchObject({ cluster: "", eids: [], description: "" });
});

it("comes once it is known who asks, where the server was away", async () => {
  server.end();
  const { fields } = open();
  expect(fields.description).toBe("");
  server.asker = "user li";
  await loadSession();
  await vi.advanceTimersByTimeAsync(0);
  expect(fields).toMatchObject({ cluster: "fish", eids: [1001], description: "give away" });
});

it("stays as it was begun meanwhile, where nothing is kept", async () => {
  server.end();
  page.state = null;
  const { fields } = open();
  fields.description = "new";
  await vi.advanceTimersByTimeAsync(1_000);
  expect(page.state).toBeNull();
  await loadSession();
  await vi.advanceTimersByTimeAsync(0);
  expect(fields.description).toBe("new");
  expect(open().fields.description).toBe("new");
});
