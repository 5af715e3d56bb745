import { describe, expect, it } from "vitest";

import type { Grants } from "../../api/types";
import { changesOf, lastLogIns, operatorIdOf, tokenState, wrongInToken, wrongInUser, wrongPassword } from "./people";

const GOOD = {
  name: "li", operatorid: "7", operatorname: "李", password: "correct horse battery", clusters: null, eids: null,
};

describe("a user's form", () => {
  it("is good as it should be", () => expect(wrongInUser(GOOD, [], true)).toEqual({}));

  it("names each field that is wrong, and none else", () => {
    const bad = { ...GOOD, name: "Li Lei", operatorid: "-1", operatorname: " ", password: "short", clusters: [] };
    expect(wrongInUser(bad, [], true)).toEqual({
      name: "name", operatorid: "operatorid", operatorname: "missing", password: "short", clusters: "none",
    });
  });

  it("knows who is there already, beyond 2^53 too", () => {
    const others = [{ name: "li", operatorid: "9007199254740993" }];
    expect(wrongInUser({ ...GOOD, operatorid: "9007199254740993" }, others, true)).toEqual({
      name: "taken", operatorid: "taken",
    });
    expect(wrongInUser({ ...GOOD, name: "wu", operatorid: "9007199254740992" }, others, true)).toEqual({});
  });

  it("asks less of a change", () => {
    expect(wrongInUser({ ...GOOD, name: "", operatorid: "", password: "", eids: [] }, [], false)).toEqual({ eids: "none" });
  });
});

it("keeps operator ids exact and within their bounds", () => {
  expect(operatorIdOf("9223372036854775807")).toBe("9223372036854775807");
  expect(operatorIdOf(" 0012 ")).toBe("12");
  expect(["9223372036854775808", "1.0", "", "x"].map(operatorIdOf)).toEqual([null, null, null, null]);
});

it("counts a password's characters as the server does", () => {
  expect(wrongPassword("一二三四五六七八九十十一")).toBeNull();
  expect(wrongPassword("😀".repeat(6))).toBe("short");
  expect(wrongPassword("x".repeat(257))).toBe("long");
});

it("judges a token's form", () => {
  const good = { name: "mis", days: "365", operatorid: "", ofPerson: false, clusters: null, eids: null };
  expect(wrongInToken(good)).toEqual({});
  expect(wrongInToken({ ...good, days: "" })).toEqual({});
  expect(wrongInToken({ ...good, name: "", days: "3651", ofPerson: true, eids: [] })).toEqual({
    name: "missing", expires_days: "days", operatorid: "operatorid", eids: "none",
  });
});

it("tells how a token stands", () => {
  const now = new Date("2026-01-31T08:00:00Z");
  expect(tokenState({ revoked: null, expires: null }, now)).toBe("valid");
  expect(tokenState({ revoked: null, expires: "2026-01-31T16:00:01+08:00" }, now)).toBe("valid");
  expect(tokenState({ revoked: null, expires: "2026-01-31T16:00:00+08:00" }, now)).toBe("expired");
  expect(tokenState({ revoked: "2026-01-01T00:00:00Z", expires: "2026-01-02T00:00:00Z" }, now)).toBe("revoked");
});

it("sends what changed alone", () => {
  const grants: Grants = { clusters: ["fish", "label"], eids: null };
  const before = { operatorname: "李", role: "operator", ...grants };
  expect(changesOf(before, { ...before, clusters: ["label", "fish"] })).toEqual({});
  expect(changesOf(before, { ...before, role: "admin", clusters: null, eids: [1001] })).toEqual({
    role: "admin", clusters: null, eids: [1001],
  });
});

it("finds each user's last log-in", () => {
  const entries = [
    { who: "user li", time: "3" },
    { who: "user wu", time: "2" },
    { who: "user li", time: "1" },
  ];
  expect(lastLogIns(entries)).toEqual(new Map([["li", "3"], ["wu", "2"]]));
});
