import { expect, it } from "vitest";

import { ApiError, UnreachableError } from "../../api/errors";
import { placeError } from "./fieldErrors";

const error = (status: number, word: string, data = {}) => new ApiError(status, word, "said by the server", data);

it("shows a wrong field at that field, every reason of it", () => {
  const problems = [
    { field: "eids", reason: "not listed" },
    { field: "eids.3", reason: "must be greater than 0" },
    { field: "amount", reason: "must not be negative for inc and dec" },
  ];
  const placed = placeError(error(400, "INVALID_CONFIG", { problems }), true);
  expect(placed.fields).toEqual({
    eids: ["not listed", "must be greater than 0"],
    amount: ["must not be negative for inc and dec"],
  });
  expect(placed.rest).toBeNull();
});

it("keeps for the form what no field shows", () => {
  const wrong = error(400, "INVALID_CONFIG", { problems: [{ field: "wait_s", reason: "unknown field" }] });
  expect(placeError(wrong, true).rest).toBe(wrong);
});

it("shows a file's problems at the file, and counts all of them", () => {
  const problems = [{ line: 3, column: "amount", value: "five", reason: "not a number" }];
  const placed = placeError(error(400, "INVALID_FILE", { problems, total_problems: 500 }), true);
  expect(placed).toMatchObject({ problems, totalProblems: 500, rest: null });
});

it("shows limits at what is over them", () => {
  expect(placeError(error(413, "TOO_LARGE", { limit: "limits.rows", value: 10 }), true).at).toBe("file");
  expect(placeError(error(413, "TOO_LARGE", { limit: "eids", value: 16 }), true).at).toBe("eids");
});

it("takes what is not found for the upload when it is handed in, and for the operation afterwards", () => {
  expect(placeError(error(404, "NOT_FOUND"), true).at).toBe("file");
  expect(placeError(error(404, "NOT_FOUND"), false).at).toBeNull();
});

it("leaves to the form what is nobody's fault", () => {
  for (const [status, word] of [[429, "QUEUE_FULL"], [503, "LEDGER_UNAVAILABLE"], [503, "DRAINING"], [507, "DISK_FULL"]] as const) {
    const failure = error(status, word);
    expect(placeError(failure, true)).toMatchObject({ fields: {}, at: null, rest: failure });
  }
  const away = new UnreachableError();
  expect(placeError(away, true).rest).toBe(away);
});
