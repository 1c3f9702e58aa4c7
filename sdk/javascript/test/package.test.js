import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import * as sdk from "@windlass-dev/sdk";
import * as testing from "@windlass-dev/sdk/testing";

import { parse, stringify } from "../src/json.js";

/** What a declaration file says there is at run time. @param {string} name */
async function declared(name) {
  const text = await readFile(new URL(`../src/${name}`, import.meta.url), "utf8");
  const names = text.matchAll(/^export (?:declare )?(?:abstract )?(?:function|class|const) (\w+)/gm);
  return [...names].map((match) => match[1]).sort();
}

test("the declarations name what the modules export", async () => {
  assert.deepEqual(Object.keys(sdk).sort(), await declared("index.d.ts"));
  assert.deepEqual(Object.keys(testing).sort(), await declared("testing.d.ts"));
});

test("the bytes of a value are UTF-8, as the platform's own encoder has it", () => {
  const value = { ascii: "x".repeat(10_000), text: "grün – 漢字 🚀", lone: "\ud800", nul: "\0" };
  const bytes = stringify(value);
  assert.deepEqual(bytes, new TextEncoder().encode(JSON.stringify(value)));
  assert.deepEqual(parse(bytes), value);
});
