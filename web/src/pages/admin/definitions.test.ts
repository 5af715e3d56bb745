import { describe, expect, it } from "vitest";

import type { Definitions, EidDefinition } from "../../api/types";
import { carryOver, compare, emptied, entryOf, formOf, placeOf, search, wrongInEid } from "./definitions";

const of = (cluster: string, eid: number, more: Partial<EidDefinition> = {}): EidDefinition => ({
  cluster, eid, name: `n${eid}`, unit: "", minimum: 0, maximum: null, editable: true, ...more,
});
const BASE: Definitions = {
  clusters: [{ name: "fish", title: "捕鱼集群" }],
  eids: [of("fish", 1001), of("fish", 1002), of("label", 1001)],
};

describe("what changed", () => {
  it("is nothing where only the order or the form of numbers differs", () => {
    const eids = [...BASE.eids].reverse().map((entry) => ({ ...entry, minimum: "0" }));
    expect(compare(BASE, { ...BASE, eids })).toEqual([]);
  });

  it("names what is added, removed, changed and titled", () => {
    const changed = of("fish", 1002, { name: "累计消耗", maximum: "9223372036854775807" });
    const after = {
      clusters: [{ name: "fish", title: "捕鱼" }, { name: "label", title: "标签" }],
      eids: [changed, of("fish", 7), of("label", 1001)],
    };
    expect(compare(BASE, after)).toEqual([
      { what: "titled", cluster: "fish", title: "捕鱼", before: "捕鱼集群" },
      { what: "titled", cluster: "label", title: "标签", before: null },
      { what: "added", cluster: "fish", eid: 7, entry: of("fish", 7) },
      { what: "removed", cluster: "fish", eid: 1001, entry: of("fish", 1001) },
      { what: "changed", cluster: "fish", eid: 1002, entry: changed, before: of("fish", 1002), fields: ["name", "maximum"] },
    ]);
  });

  it("goes onto what others have saved, keeping what they changed", () => {
    const mine = {
      clusters: [],
      eids: [of("fish", 1001, { name: "mine" }), of("label", 1001), of("label", 5)],
    };
    const theirs = {
      clusters: [{ name: "fish", title: "捕鱼集群" }, { name: "new", title: "新" }],
      eids: [of("fish", 1001, { unit: "分" }), of("fish", 1002, { name: "theirs" }), of("new", 1)],
    };
    expect(carryOver(compare(BASE, mine), theirs)).toEqual({
      clusters: [{ name: "new", title: "新" }],
      eids: [of("fish", 1001, { name: "mine", unit: "分" }), of("label", 5), of("new", 1)],
    });
  });

  it("tells which clusters have no EID any more", () => {
    expect(emptied(BASE, { ...BASE, eids: [of("fish", 1001)] })).toEqual(["label"]);
  });
});

describe("an EID's form", () => {
  const good = { eid: "1003", name: "a", unit: "", minimum: "-9,223,372,036,854,775,808", maximum: "", editable: true };

  it("is sent exactly", () => {
    expect(wrongInEid(good, [1001])).toEqual({});
    expect(entryOf({ ...good, maximum: "９223372036854775807" }, "fish")).toEqual(
      of("fish", 1003, { name: "a", minimum: "-9223372036854775808", maximum: "9223372036854775807" }),
    );
    expect(entryOf(formOf(of("fish", 1001)), "fish")).toEqual(of("fish", 1001, { minimum: "0" }));
  });

  it("names what is wrong alone", () => {
    expect(wrongInEid({ ...good, eid: "1001" }, [1001])).toEqual({ eid: "twice" });
    const bad = { ...good, eid: "0", unit: "x".repeat(33), minimum: "9223372036854775808", maximum: "1.5" };
    expect(wrongInEid(bad, [])).toEqual({ eid: "eid", unit: "longUnit", minimum: "bound", maximum: "bound" });
    expect(wrongInEid({ ...good, minimum: "5", maximum: "4" }, [])).toEqual({ maximum: "order" });
  });
});

it("searches by number, name and unit within a cluster", () => {
  const eids = [of("fish", 1001, { name: "活动积分", unit: "分" }), of("fish", 1002), of("label", 1001)];
  const found = (text: string) => search(eids, "fish", text).map(({ eid }) => eid);
  expect([found("1001"), found("积分"), found("N1002"), found("分"), found("x")]).toEqual([[1001], [1001], [1002], [1001], []]);
});

it("finds the entry that the server means", () => {
  expect(placeOf("eids.1.maximum", BASE)).toEqual({ cluster: "fish", eid: 1002, field: "maximum" });
  expect(placeOf("clusters.0.title", BASE)).toEqual({ cluster: "fish", eid: null, field: "title" });
  expect(placeOf("eids", BASE)).toBeNull();
});
