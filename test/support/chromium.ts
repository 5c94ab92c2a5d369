import { existsSync } from "node:fs";

/** Path of an installed Chromium or Chrome. */
export const chromiumPath = [
	"/usr/bin/chromium",
	"/usr/bin/chromium-browser",
	"/usr/bin/google-chrome",
].find(existsSync);
