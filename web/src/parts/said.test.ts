/** What eomd's Python code says and knows, held against what the console can say of it in both languages. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, it } from "vitest";

import en from "../i18n/en";
import zh from "../i18n/zh";
import { clausesOf, REMEDIES, SUBJECTS } from "./said";

type Texts = Record<string, Record<string, unknown>>;
const CATALOGUES = [en.messages, zh.messages] as unknown as Texts[];

const source = (path: string) => readFileSync(fileURLToPath(new URL(`../../../eomd/${path}`, import.meta.url)), "utf-8");
const found = (path: string, pattern: RegExp) => [...source(path).matchAll(pattern)].map((match) => match.slice(1).find(Boolean) ?? "");
/** the values of an enum */
function valuesOf(path: string, name: string): string[] {
  const [, after = ""] = source(path).split(`\nclass ${name}(`);
  const [body = ""] = after.split(/\n(?=\S)/);
  return [...body.matchAll(/^ {4}[A-Z_]+ = "(\w+)"$/gm)].map(([, value = ""]) => value);
}

/** A text in each catalogue, by its key. */
function textsOf(key: string): unknown[] {
  return CATALOGUES.map((texts) => key.split(".").reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], texts));
}
const missing = (keys: string[]) => keys.filter((key) => !textsOf(key).every((text) => typeof text === "string"));

/** With what is filled in while eomd runs. */
const filled = (sentence: string) => sentence.replace(/\{[^{}]*\}/g, "7");
const unknown = (sentences: string[]) => sentences.map(filled).filter((sentence) => clausesOf(sentence).some(({ key }) => key === null));

it("has a name, what is done and what to do for every kind of incident", () => {
  const kinds = valuesOf("watchdog/kinds.py", "Kind");
  expect(kinds).toContain("watchdog_late");
  expect(missing(kinds.flatMap((kind) => ["kind", "does", "todo"].map((part) => `clusters.${part}.${kind}`)))).toEqual([]);
});

it("has a text for everything that is tried", () => {
  const [line = ""] = /^RECYCLE, .*$/m.exec(source("watchdog/decisions.py")) ?? [];
  const tried = [...line.matchAll(/"(\w+)"/g)].map(([, name = ""]) => name);
  const noted = found("watchdog/chronicle.py", /remedied\([\w.]+, [\w.]+, "([^"]+)"/g);
  expect([tried, noted].map(({ length }) => length)).toEqual([3, 2]);
  expect([...tried, ...noted].filter((name) => missing([REMEDIES[name] ?? name]).length > 0)).toEqual([]);
});

it("has a text for every refusal", () => {
  const codes = found("handlers/answer.py", /^ {4}"([A-Z_]+)": Status\(/gm);
  expect(codes).toContain("DISK_FULL");
  expect(missing(codes.map((code) => `errors.code.${code}`))).toEqual([]);
});

it("has a name for whatever an incident is about, but for nodes and folders, which have their own", () => {
  const subjects = [
    ...found("watchdog/chronicle.py", /^SUBJECT, CONFIGURATION = ("\w+", "\w+")$/gm).flatMap((both) => both.replaceAll('"', "").split(", ")),
    ...found("watchdog/clock_probe.py", /^SUBJECT = "(\w+)"$/gm),
    ...["disk", "ledger", "server"].flatMap((part) => found(`watchdog/${part}_probe.py`, /^ {4}subject = "(\w+)"$/gm)),
    ...found("watchdog/inbox_word.py", /^[A-Z]+ = "([^"]+)"$|INBOX_OVERFLOW, "(\w+)"/gm),
    ...found("watchdog/chronicle.py", /WATCHDOG_LATE, "(\w+)"/g),
  ];
  expect(subjects.length).toBeGreaterThan(10);
  expect(missing(subjects.map((subject) => SUBJECTS[subject] ?? subject))).toEqual([]);
});

it("has a text for whatever pauses an operation", () => {
  const by = valuesOf("model.py", "PausedBy");
  expect(by).toContain("canary");
  expect(missing(by.flatMap((each) => [`words.pausedBy.${each}`, `overview.waitsFor.${each}`]))).toEqual([]);
});

it("has a text for every state of what is watched", () => {
  const states = [
    ...valuesOf("watchdog/liveness.py", "ServerState"),
    ...valuesOf("model.py", "NodeState"),
    ...valuesOf("watchdog/porter.py", "InboxState"),
    ...["sight", "disk_probe", "ledger_probe", "server_probe"].flatMap((file) =>
      found(`watchdog/${file}.py`, /^[A-Z_]+(?:, [A-Z_]+)* = ("[a-z_]+"(?:, "[a-z_]+")*)$/gm).flatMap((all) => all.replaceAll('"', "").split(", ")),
    ),
  ];
  expect(states).toEqual(expect.arrayContaining(["stuck", "misconfigured", "unreadable", "unknown", "short", "read_only", "mute"]));
  expect(missing(states.map((state) => `words.light.${state}`))).toEqual([]);
});

it("has a text for everything that stands in the diary", () => {
  const words = [
    ...found("watchdog/chronicle.py", /_diary\.note\("(\w+)"|_end\("(\w+)"/g),
    ...found("watchdog/supervisor.py", /wished\("(\w+)"/g),
  ];
  expect(words.length).toBeGreaterThan(8);
  expect(missing(words.map((word) => `clusters.diaryOf.${word}`))).toEqual([]);
});

it("knows why the server is started, stopped and killed, and how it ends", () => {
  const why = [
    ...found("watchdog/supervisor.py", /_replacing or "([^"]+)"|"(ordered to [^"]+)"|ordered\(server, "([^"]+)"|server\.problem or "([^"]+)"/g),
    ...found("watchdog/config_watch.py", /\.replace\("([^"]+)"\)/g),
    ...found("watchdog/main.py", /restart\(f"([^"]+)"/g),
    ...found("watchdog/chronicle.py", /note\(\w+, f"([^"]+)"/g),
    ...found("watchdog/excess.py", /f"(uses [^"]+|holds [^"]+)"/g),
  ];
  expect(why.length).toBeGreaterThan(9);
  expect(unknown(why)).toEqual([]);
  const ends = ["exit code 1", "signal SIGSEGV", "its configuration wrong (exit code 78)"].flatMap((how) => [
    `ended with ${how} after 3 s`,
    `ended with ${how} after 3 s, 2 times in a row in eomd/a.py:7; stacks in /var/lib/eomd/watchdog/stacks-7.txt`,
  ]);
  const silence = "no sign of life for 7.0 s";
  const killed = [silence, `${silence}, stopped by a signal`, `${silence} (processors short 7%)`].map((said) => `${said}: killed in eomd/a.py:7`);
  expect(unknown([...ends, ...killed, "its files have changed: nothing taken over", "root: log.level, limits taken over; waiting for a restart: server.listen"])).toEqual([]);
});

it("knows what comes of a remedy", () => {
  const outcomes = [
    ...found("watchdog/remedies.py", /return f?"([^"]+ [^"]+)"/g).filter((said) => !said.includes("kind")),
    ...found("watchdog/dispatcher.py", /outcome = .*, "([^"]+)"|return f?"([^"]+ [^"]+)"/g),
    ...found("watchdog/supervisor.py", /_outcomes\.tell\(f?"([^"]+)"|return "(left [^"]+)"|_outcome\("(stopped)"|chronicle\.refused\(problem, f?"([^"]+)"/g),
    ...found("watchdog/config_watch.py", /configuration_wrong\(.*, "([^"]+)"\)/g),
    ...found("watchdog/chronicle.py", /outcome = f"([^"]+)"/g),
  ];
  expect(outcomes.length).toBeGreaterThan(12);
  expect(unknown(outcomes)).toEqual([]);
});

it("knows what an incident is about, and how it ended", () => {
  const said = [
    ...found("watchdog/chronicle.py", /SUBJECT, f?"([^"]+)"|CONFIGURATION, "([^"]+)"\)|said = f"(the watchdog [^"]+)"|close\([^"\n]*, f"([^"]+)"/g),
    ...["node", "ledger", "disk", "server"].flatMap((part) => found(`watchdog/${part === "node" ? "cluster" : part}_probe.py`, /(?:return|else) f?"(the [^"]+|there [^"]+)"/g)),
    ...found("watchdog/disk_probe.py", /: "((?:hand-ins|operations) [^"]+: )"/g).map((effect) => `${effect}7`),
    ...found("watchdog/reporter.py", /f"(for the probe [^"]+)"|subject, "(they [^"]+)"/g),
    ...found("watchdog/inbox_word.py", /f?"(more files [^"]+|the folder was [^"]+|it is [^"]+|\{(?:trouble|len)[^"]+)"/g),
    ...["was gone and has been made again", "is not the folder it was"].flatMap((how) => found("watchdog/inbox_word.py", /f"(\{place\.path\} \{how\}[^"]+)"/g).map((text) => text.replace("{how}", how))),
    ...["forward", "back"].flatMap((way) => found("watchdog/clock_probe.py", /f"(the clock [^"]+)"/g).map((text) => text.replace("{way}", way))),
  ].filter((text) => text.includes(" ") && text !== "last good configuration");
  expect(said.length).toBeGreaterThan(20);
  expect(unknown(said.map((text) => text.replace(/\{(?:_because\([^{}]*\)|because)\}/, ": 7")))).toEqual([]);
});

it("knows why an operation waits, and how it ended", () => {
  const said = [
    ...found("operations/wish.py", /PausedBy\.PERSON, "([^"]+)"/g),
    ...found("operations/holds.py", /return f"([^"]+)"/g),
    ...found("operations/keeper.py", /_wait\(f?"([^"]+)"/g),
    ...found("operations/brake.py", /return f"([^"]+)"/g),
    ...found("operations/second_look.py", /told = f"([^"]+); \{found\}"|return f"\{told\}; ([^"]+)"|return f"((?:the canary|could) [^"]+)"/g),
    ...found("operations/read_back.py", /\{rows\}: (all [^"]+)/g),
    ...found("operations/schedule.py", /message = "([^"]+)"/g),
    ...found("operations/runner.py", /message="([^"]+)"/g),
    ...found("operations/recovery.py", /(?:message|reason) = "([^"]+)"/g),
    ...found("operations/approvals.py", /^_EXPIRED = "([^"]+)"/gm).map((why) => `rejected: ${why}`),
    "approved by 王芳 (3): as agreed",
    "rejected by 3: too many",
    "the canary's 1,000 rows: 0 failed or uncertain; 1,000 rows were read back: 7 are different now; 2 could not be read; resume it to go on, or cancel it",
    "1,000 rows were read back: all are as they were left",
  ];
  expect(said.length).toBeGreaterThan(18);
  expect(unknown(said)).toEqual([]);
});

it("fills in nothing that a text has no place for, and leaves no place open", () => {
  const patterns = readFileSync(fileURLToPath(new URL("said.ts", import.meta.url)), "utf-8").matchAll(/^ {2}\[(\/.+\/), "(\w+)"\],$/gm);
  for (const [, pattern = "", key = ""] of patterns) {
    const given = [...pattern.matchAll(/\?<(\w+)>/g)].map(([, name]) => name).sort();
    const places = textsOf(`said.${key}`).map((text) => [...String(text).matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort());
    expect([key, ...places]).toEqual([key, given, given]);
  }
});

it("says what it knows, and leaves the rest as it was said", () => {
  expect(clausesOf("cluster fish is drained; goes on when it is taken back").map(({ key, named }) => [key, named])).toEqual([
    ["clusterDrained", { cluster: "fish" }],
    ["onWhenBack", {}],
  ]);
  expect(clausesOf("12 of the last 100 rows failed or are uncertain, over 5.00%; something new")).toEqual([
    { text: "12 of the last 100 rows failed or are uncertain, over 5.00%", key: "brakeRows", named: { bad: "12", rows: "100", share: "5.00%" } },
    { text: "something new", key: null, named: {} },
  ]);
});
