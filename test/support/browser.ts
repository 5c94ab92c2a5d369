import { existsSync } from "node:fs";
import { test } from "@jest/globals";

/** Debian's Chromium, or another one of this machine. */
export const chromiumPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
/** Where everything must be shown to work, a missing browser fails the tests. */
const required = process.env.CI === "true";
if (!chromiumPath && !required) console.warn("Chromium is missing, so tests in a browser are skipped: apt-get install chromium");

/** `test` for a test that needs a browser. */
export const testInBrowser: typeof test | typeof test.skip = chromiumPath || required ? test : test.skip;
