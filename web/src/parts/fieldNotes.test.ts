import { expect, it } from "vitest";

import { ApiError } from "../api/errors";
import { notesOf } from "./fieldNotes";

const refusal = (...problems: { field: string; reason: string }[]) =>
  new ApiError(400, "INVALID_CONFIG", "…", { problems });

it("puts each problem at its field, an item's at the list's", () => {
  const error = refusal(
    { field: "name", reason: "is another user's" },
    { field: "clusters.1", reason: "is empty" },
    { field: "clusters.3", reason: "is too long" },
  );
  expect(notesOf(error, ["name", "clusters"])).toEqual({
    name: [{ text: "is another user's", lang: "en" }],
    clusters: [{ text: "is empty", lang: "en" }, { text: "is too long", lang: "en" }],
  });
});

it("leaves what concerns no field of the form to be shown as a whole", () => {
  expect(notesOf(refusal({ field: "name", reason: "a" }, { field: "", reason: "b" }), ["name"])).toBeNull();
  expect(notesOf(new ApiError(403, "FORBIDDEN", "…"), ["name"])).toBeNull();
  expect(notesOf(new Error("x"), ["name"])).toBeNull();
});
