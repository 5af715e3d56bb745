/** Every text is there in both languages, is used, and names the same places to fill in. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, it } from "vitest";

import en from "./en";
import zh from "./zh";

const SOURCES = fileURLToPath(new URL("..", import.meta.url));

function flatten(messages: object, under = ""): [string, string][] {
  return Object.entries(messages).flatMap(([name, value]) =>
    typeof value === "string" ? [[under + name, value]] : flatten(value as object, `${under}${name}.`),
  );
}

const english = new Map(flatten(en.messages));
const chinese = new Map(flatten(zh.messages));

function sources(): string {
  const files = readdirSync(SOURCES, { recursive: true, encoding: "utf-8" });
  const read = files.filter((name) => /\.(vue|ts)$/.test(name) && !/\.test\.ts$|^i18n\/(en|zh)\//.test(name));
  // a bound attribute that is but a path, :rows="operation.rows", is no key
  const bound = /[:@#\w-]+="\w+(\??\.\w+)+"/g;
  return read.map((name) => readFileSync(join(SOURCES, name), "utf-8").replace(bound, "")).join("\n");
}

/** Keys are written whole, "words.state.queued" (what a template binds, ="operation.rows", is none), or with their end open: `words.state.${state}`. */
const CODE = sources();
const SECTIONS = Object.keys(en.messages).join("|");
const whole = new Set([...CODE.matchAll(new RegExp(`(?<!=)["'\`]((?:${SECTIONS})(?:\\.\\w+)+)["'\`]`, "g"))].map((m) => m[1]));
const open = [...CODE.matchAll(new RegExp(`\`((?:${SECTIONS})\\.(?:\\w+\\.)*)\\$\\{`, "g"))].map((m) => m[1] ?? "");

it("has every text in both languages", () => {
  expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort());
  expect([...english, ...chinese].filter(([, text]) => text.trim() === "")).toEqual([]);
});

it("has every text that is asked for", () => {
  expect([...whole].filter((key) => key !== undefined && !english.has(key))).toEqual([]);
  expect(open.filter((start) => ![...english.keys()].some((key) => key.startsWith(start)))).toEqual([]);
});

it("has no text that nobody asks for", () => {
  const unused = [...english.keys()].filter((key) => !whole.has(key) && !open.some((start) => key.startsWith(start)));
  expect(unused).toEqual([]);
});

it("fills in the same in both languages", () => {
  const places = (text = "") => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();
  const differing = [...english].filter(([key, text]) => `${places(text)}` !== `${places(chinese.get(key))}`);
  expect(differing.map(([key]) => key)).toEqual([]);
});

it("leaves no English in the Chinese catalogue", () => {
  const allowed = new Set(["shell.languageOf.en"]);
  // EID, CSV and {names} are the same everywhere
  const bare = (text: string) => text.replace(/\{\w+\}|eomd/g, "");
  const untranslated = [...chinese].filter(([key, text]) => /^[^\p{Script=Han}]*[a-z]{2}[^\p{Script=Han}]*$/u.test(bare(text)) && !allowed.has(key));
  expect(untranslated.map(([key]) => key)).toEqual([]);
});
