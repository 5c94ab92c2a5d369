import { afterAll, beforeAll, beforeEach } from "@jest/globals";
import type { Browser } from "playwright-core";
import { chromiumPath, startBrowser } from "./browser.ts";
import { type Customer, makeAdmin } from "./builders.ts";
import { AdminConsole } from "./console.ts";
import { type ConsolePages, problemsOfPages } from "./console-pages.ts";
import { type Shop, startShop } from "./shop.ts";

interface Started {
	readonly shop: Shop;
	readonly browser: Browser;
	readonly admin: Customer;
}
interface Options {
	/** Settings of the shop, called when it starts. */
	readonly env?: () => Record<string, string>;
	/** Page that each test begins with: its path without /console, and its title. */
	readonly page?: readonly [path: string, title: string];
	onStart(started: Started): unknown;
	/** Receives the console before each test, signed in as the administrator and showing `page`. */
	onOpen?(console: AdminConsole): void;
}

/**
 * Registers hooks that start a shop and a browser, and open the admin console before each test if
 * there is a `page`. Without Chromium, they do nothing and the tests are skipped.
 */
export function consoleShop({ env, page, onStart, onOpen }: Options) {
	let started: Started | undefined;
	beforeAll(async () => {
		if (!chromiumPath) return;
		const [shop, browser] = await Promise.all([startShop({ env: env?.() ?? {} }), startBrowser()]);
		started = { shop, browser, admin: await makeAdmin(shop) };
		await onStart(started);
	});
	afterAll(async () => {
		await started?.browser.close();
		await started?.shop.stop();
	});

	let console: AdminConsole | undefined;
	beforeEach(async () => {
		if (!started || !page) return;
		const [path, title] = page;
		await console?.close();
		const { browser, shop, admin } = started;
		console = await AdminConsole.open(browser, shop.url, path, { admin });
		await console.shows(title);
		onOpen?.(console);
	});

	return {
		/** Problems of pages in both themes and widths, see {@link problemsOfPages}. */
		problemsOf: (pages: ConsolePages): Promise<string[]> =>
			problemsOfPages(started!.browser, started!.shop.url, started!.admin, pages),
	};
}
