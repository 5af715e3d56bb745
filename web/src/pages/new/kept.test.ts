import { expect, it } from "vitest";

import { keyFor, load, newFields, randomKey } from "./kept";

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

it("begins anew where nothing is kept, and fills in what an older page did not keep", () => {
  expect(load(null)).toEqual({ file: null, fields: newFields(), sent: null, plan: null });
  const kept = load({ newOperation: { fields: { cluster: "fish" }, plan: 7 } });
  expect(kept.fields).toEqual({ ...newFields(), cluster: "fish" });
  expect(kept.plan).toBe(7);
});
