import { expect, it } from "vitest";

import { clusterChoices, eidChoices, eidNames, eidOf } from "./grants";

const of = (cluster: string, eid: number, name: string) => ({
  cluster, eid, name, unit: "", minimum: null, maximum: null, editable: true,
});
const EIDS = [of("fish", 1001, "活动积分"), of("fish", 1002, "累计消耗"), of("label", 1001, "标签权重"), of("old", 7, "")];

it("offers every cluster that anybody knows of, with its title once", () => {
  const definitions = { clusters: [{ name: "fish", title: "捕鱼集群" }], eids: EIDS };
  expect(clusterChoices(definitions, [{ name: "new", title: "new" }], ["gone"])).toEqual([
    { name: "fish", title: "捕鱼集群" },
    { name: "gone", title: "" },
    { name: "label", title: "" },
    { name: "new", title: "" },
    { name: "old", title: "" },
  ]);
});

it("calls an EID by its names in all clusters, or in those that count", () => {
  expect(eidNames(EIDS).get(1001)).toBe("活动积分 / 标签权重");
  expect(eidNames(EIDS, ["label"])).toEqual(new Map([[1001, "标签权重"]]));
});

it("finds by number and by name, what is chosen first", () => {
  const names = eidNames(EIDS);
  expect(eidChoices(names, [1002], "", 10)).toEqual({ eids: [1002, 7, 1001], more: 0 });
  expect(eidChoices(names, [], "标签", 10)).toEqual({ eids: [1001], more: 0 });
  expect(eidChoices(names, [], "100", 1)).toEqual({ eids: [100], more: 2 });
  expect(eidChoices(names, [7, 1001], "x", 1)).toEqual({ eids: [7, 1001], more: 0 });
});

it("takes for an EID what can be one", () => {
  expect(["1", "4294967295", " ４２ "].map(eidOf)).toEqual([1, 4_294_967_295, 42]);
  expect(["0", "4294967296", "-1", "1.5", "", "1e3"].map(eidOf)).toEqual([null, null, null, null, null, null]);
});
