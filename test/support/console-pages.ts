import type { Browser } from "playwright-core";
import { AdminConsole } from "./console.ts";

/** Pages by path, with their title and a text that shows that their data is loaded. */
export type ConsolePages = Readonly<Record<string, readonly [title: string, loaded: string]>>;

/**
 * Opens pages in the light theme and, on the narrowest supported screen, in the dark theme.
 * @returns violations of axe-core's rules, pages that are wider than the screen, and script errors
 */
export async function problemsOfPages(
	browser: Browser,
	url: string,
	admin: { readonly email: string; readonly password: string },
	pages: ConsolePages,
): Promise<string[]> {
	const problems: string[] = [];
	for (const [theme, width] of [["light", 1280] as const, ["dark", 360] as const]) {
		const console = await AdminConsole.open(browser, url, "", { theme, width });
		await console.signIn(admin);
		await console.shows("Overview");
		for (const [path, [title, loaded]] of Object.entries(pages)) {
			await console.goto(path);
			await console.shows(title);
			await console.page.getByText(loaded).first().waitFor();
			const found = await console.violations();
			const actual = await console.page.evaluate<number>("document.documentElement.scrollWidth");
			if (actual > width) found.push(`The page is ${actual} pixels wide`);
			problems.push(...found.map((problem) => `${path} (${theme}, ${width}): ${problem}`));
		}
		problems.push(...console.problems);
		await console.close();
	}
	return problems;
}
