import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

/**
 * Path of an installed Chromium or Chrome. The headless shell needs a quarter of the CPU time,
 * because it draws no windows.
 */
export const chromiumPath = [
	"/usr/bin/chromium-headless-shell",
	"/usr/bin/chromium",
	"/usr/bin/chromium-browser",
	"/usr/bin/google-chrome",
].find(existsSync);

/**
 * Starts Chromium with few processes: starting the one of a page takes as much CPU time as a test.
 */
export const startBrowser = (): Promise<Browser> =>
	chromium.launch({
		executablePath: chromiumPath!,
		args: ["--no-sandbox", "--no-zygote", "--in-process-gpu", "--renderer-process-limit=1"],
	});
