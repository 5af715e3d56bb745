import { expect, it } from "vitest";

import { ACCESS, mayReach, type AdminPage } from "./access";

const PAGES = Object.keys(ACCESS) as AdminPage[];
const reached = (role: "viewer" | "approver" | "admin", clusters: string[] | null = null, eids: number[] | null = null) =>
  PAGES.filter((page) => mayReach(page, { role, clusters, eids }));

it("shows people and the audit to admins, what is in force to all", () => {
  expect(reached("admin")).toEqual(PAGES);
  expect(reached("approver")).toEqual(["definitions", "recipes", "approval"]);
  expect(reached("viewer")).toEqual(["definitions", "recipes", "approval"]);
});

it("closes what concerns all clusters to whoever is limited, admins too", () => {
  expect(reached("admin", ["fish"])).toEqual(["definitions", "recipes", "approval"]);
  expect(reached("admin", null, [1001])).toEqual(["definitions", "recipes", "approval"]);
});
