import { beforeEach, expect, it, vi } from "vitest";

import { emptyForm, keyFor, load, newFields, randomKey, save } from "./kept";

const page = { state: null as unknown, replaceState: (state: unknown) => (page.state = state) };

beforeEach(() => {
  page.state = null;
  vi.stubGlobal("history", page);
});

it("keeps the key while the content is the same", () => {
  let made = 0;
  const make = () => `key${++made}`;
  const first = keyFor("a", null, make);
  expect(keyFor("a", first, make)).toEqual({ content: "a", key: "key1" });
  const second = keyFor("b", first, make);
  expect(second.key).toBe("key2");
  expect(keyFor("a", second, make).key).toBe("key3");
});

it("makes keys that differ", () => {
  expect(randomKey()).toMatch(/^[0-9a-f]{32}$/);
  expect(randomKey()).not.toBe(randomKey());
});

it("keeps the form in the page's entry beside what else stands there", () => {
  page.state = { back: "/" };
  const form = { ...emptyForm(), fields: { ...newFields(), cluster: "fish" }, plan: 7 };
  save(form, "user li 0");
  expect(load("user li 0")).toEqual(form);
  expect(page.state).toMatchObject({ back: "/" });
});

it("has nothing where nothing is kept, and fills in what an older page did not keep", () => {
  expect(load("user li 0")).toBeNull();
  page.state = { newOperation: { owner: "user li 0", fields: { cluster: "fish" }, plan: 7 } };
  expect(load("user li 0")).toEqual({ ...emptyForm(), fields: { ...newFields(), cluster: "fish" }, plan: 7 });
});

it("forgets what is kept for anybody else", () => {
  save({ ...emptyForm(), plan: 7 }, "user li 0");
  expect(load("user wang 0")).toBeNull();
  expect(load("user li 0")).toBeNull();
  expect(JSON.stringify(page.state)).toBe("{}");
});
