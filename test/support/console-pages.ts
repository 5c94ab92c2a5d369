import type { Browser } from "playwright-core";
import { AdminConsole } from "./console.ts";

/** Pages by path, with their title and a text that shows that their data is loaded. */
export type ConsolePages = Readonly<Record<string, readonly [title: string, loaded: string]>>;

/** The narrowest supported screen. */
export const NARROW = { width: 360, height: 740 };
const WIDE = { width: 1280, height: 800 };
/** Milliseconds for a page to fit a new width. */
const FIT_MS = 5000;

/**
 * Opens pages in the light theme, one after another, and then shows each one in the dark theme on
 * the narrowest screen.
 * @returns violations of axe-core's rules, pages that are wider than the screen, and script errors
 */
export async function problemsOfPages(
	browser: Browser,
	url: string,
	admin: { readonly email: string; readonly password: string },
	pages: ConsolePages,
): Promise<string[]> {
	const problems: string[] = [];
	const console = await AdminConsole.open(browser, url, "", { ...WIDE, admin });
	await console.shows("Overview");
	for (const [path, [title, loaded]] of Object.entries(pages)) {
		await console.resize(WIDE);
		await console.useTheme("light");
		await console.visit(path);
		await console.shows(title);
		await console.page.getByText(loaded).first().waitFor();
		for (const [theme, size] of [["light", WIDE] as const, ["dark", NARROW] as const]) {
			await console.useTheme(theme);
			await console.resize(size);
			const found = [...(await tooWide(console, size.width)), ...(await console.violations())];
			problems.push(...found.map((problem) => `${path} (${theme}, ${size.width}): ${problem}`));
		}
	}
	problems.push(...console.problems);
	await console.close();
	return problems;
}

/** A problem if the current page does not fit a width. Charts adapt to a new width with a delay. */
async function tooWide({ page }: AdminConsole, width: number): Promise<string[]> {
	const actual = "document.documentElement.scrollWidth";
	await page
		.waitForFunction(`${actual} <= ${width}`, undefined, { timeout: FIT_MS })
		.catch(() => undefined);
	const found = await page.evaluate<number>(actual);
	return found <= width ? [] : [`The page is ${found} pixels wide`];
}
