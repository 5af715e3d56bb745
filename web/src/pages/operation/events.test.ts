import { expect, it } from "vitest";

import type { TimelineEvent } from "../../api/types";
import { childrenIn, headline, ownWords, sentAgainIn, undoIn, whoSaid } from "./events";

const event = (what: string, change: Partial<TimelineEvent> = {}): TimelineEvent => ({
  time: "2026-01-31T08:00:00+00:00", what, who: null, text: null, by: null, rows: null, related: null, ...change,
});

it("says states and acts in the page's words, and notes in their own", () => {
  expect(headline(event("running"))).toEqual({ key: "words.state.running", named: {} });
  expect(headline(event("undo-plan"))).toEqual({ key: "operation.act.undo_plan", named: {} });
  expect(headline(event("note", { text: "anything" }))).toBeNull();
  expect(headline(event("something_new"))).toEqual({ key: "operation.act.other", named: { what: "something_new" } });
});

it.each([
  ["user li", "operation.who.user", { name: "li" }],
  ["token mis for operator 12 (李)", "operation.who.acting", { by: "mis", name: "李" }],
  ["token li of operator 12 (李)", "operation.who.acting", { by: "li", name: "李" }],
  ["mis network for operator 12", "operation.who.acting", { by: "mis network", name: "12" }],
  ["token mis", "operation.who.token", { name: "mis" }],
  ["uid 0", "operation.who.machine", {}],
  ["inbox", "operation.who.other", { name: "inbox" }],
])("knows who %s is", (who, key, named) => expect(whoSaid(who)).toEqual({ key, named }));

it("has words of its own for a verdict, and keeps reasons as they were written", () => {
  expect(ownWords(event("settle", { text: "send_again: 17" }))).toEqual({ key: "operation.verdict.send_again", named: {} });
  expect(ownWords(event("reject", { text: "applied: by mistake" }))).toBeNull();
  expect(ownWords(event("hand_in", { text: "handed in by …" }))).toBe("none");
  expect(ownWords(event("expire", { text: "nobody has decided in time" }))).toBe("none");
  expect(ownWords(event("paused", { by: "person", text: "paused by a person" }))).toBe("none");
  expect(ownWords(event("paused", { by: "cluster", text: "no node of fish can be reached" }))).toBeNull();
});

it("finds what came of it, not what it comes of", () => {
  const events = [
    event("hand_in", { related: 3 }),
    event("undo-plan", { related: 14 }),
    event("undo", { related: 15 }),
    event("undo", { related: 15 }),
  ];
  expect(childrenIn(events).map(({ id }) => id)).toEqual([15, 14]);
});

it("finds what has undone it, a plan of it aside", () => {
  expect(undoIn([event("hand_in"), event("undo-plan", { related: 14 })])).toBeNull();
  expect(undoIn([event("undo", { related: 15 }), event("undo-plan", { related: 16 }), event("undo", { related: 17 })])).toBe(17);
});

it("counts the rows that were settled as to be sent again", () => {
  const settled = ["send_again: 17", "applied: 5", "send_again: 3"].map((text) => event("settle", { text }));
  expect(sentAgainIn(settled)).toBe(20);
  expect(sentAgainIn([event("reject", { text: "send_again: 4" }), event("settle")])).toBe(0);
});
