import { chromiumPath, startBrowser } from "./chromium.ts";
import { testIf } from "./skip.ts";

export { chromiumPath, startBrowser };

/** In CI, a missing browser fails the tests instead of skipping them. */
const required = process.env.CI === "true";

/** `test` for a test that needs a browser. */
export const testInBrowser = testIf(
	required || chromiumPath !== undefined,
	"chromium is not installed (apt-get install chromium-headless-shell)",
);
