import { beforeEach, expect, it, vi } from "vitest";

import { logIn } from "../api/session";
import { forgetNames, useNames } from "./useNames";

const asked = vi.hoisted(() => ({ definitions: vi.fn(), session: "user chen" }));
vi.mock("../api/setup", () => ({ getDefinitions: asked.definitions }));
vi.mock("../api/client", () => ({
  post: () => Promise.resolve({ name: asked.session, xsrf_token: "x" }),
  setXsrfToken: () => undefined,
  whenUnauthenticated: () => undefined,
}));

const EID = { unit: "", minimum: null, maximum: null, editable: true };
const DEFINITIONS = {
  clusters: [{ name: "fish", title: "捕鱼集群" }],
  eids: [
    { cluster: "fish", eid: 1001, name: "活动积分", ...EID },
    { cluster: "label", eid: 1001, name: "标签权重", ...EID },
  ],
};

async function enter(who: string): Promise<void> {
  asked.session = who;
  await logIn("", "");
}

beforeEach(async () => {
  vi.useFakeTimers();
  asked.definitions.mockReset().mockResolvedValue(DEFINITIONS);
  forgetNames();
  await enter("user chen");
});

it("calls clusters and counters by their names, and by name and number", async () => {
  const { clusterTitle, clusterName, eidName } = useNames();
  await vi.advanceTimersByTimeAsync(0);
  expect([clusterTitle("fish"), clusterName("fish"), clusterName("new")]).toEqual(["捕鱼集群", "捕鱼集群 (fish)", "new"]);
  expect([eidName("fish", 1001), eidName(null, "1001"), eidName(["label"], 1001), eidName("fish", 7)]).toEqual([
    "活动积分 (1001)", "活动积分 / 标签权重 (1001)", "标签权重 (1001)", "7",
  ]);
});

it("is asked for once by all of a page, and again once it is old or has changed", async () => {
  useNames();
  useNames();
  await vi.advanceTimersByTimeAsync(60_000);
  useNames();
  expect(asked.definitions).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(1);
  useNames();
  expect(asked.definitions).toHaveBeenCalledTimes(2);
  forgetNames();
  useNames();
  expect(asked.definitions).toHaveBeenCalledTimes(3);
});

it("tells what went wrong, and asks again at the next occasion", async () => {
  asked.definitions.mockRejectedValueOnce(new Error("away"));
  const { error } = useNames();
  await vi.advanceTimersByTimeAsync(0);
  expect(String(error.value)).toBe("Error: away");
  useNames();
  await vi.advanceTimersByTimeAsync(0);
  expect(error.value).toBeNull();
});

it("shows the next person nothing of the last one's, also where that comes late", async () => {
  let late: (definitions: unknown) => void = () => undefined;
  useNames();
  await vi.advanceTimersByTimeAsync(0);
  asked.definitions.mockReturnValueOnce(new Promise((resolve) => (late = resolve)));
  forgetNames();
  useNames();
  await enter("user wang");
  asked.definitions.mockResolvedValue({ clusters: [], eids: [] });
  const { eidName } = useNames();
  expect(eidName("fish", 1001)).toBe("1001");
  late(DEFINITIONS);
  await vi.advanceTimersByTimeAsync(0);
  expect(eidName("fish", 1001)).toBe("1001");
});
