import { existsSync } from "node:fs";
import { testIf } from "./skip.ts";

/** Path of an installed Chromium or Chrome. */
export const chromiumPath = [
	"/usr/bin/chromium",
	"/usr/bin/chromium-browser",
	"/usr/bin/google-chrome",
].find(existsSync);
/** In CI, a missing browser fails the tests instead of skipping them. */
const required = process.env.CI === "true";

/** `test` for a test that needs a browser. */
export const testInBrowser = testIf(
	required || chromiumPath !== undefined,
	"chromium is not installed (apt-get install chromium)",
);
