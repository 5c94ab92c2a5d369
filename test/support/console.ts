import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { eventually, LIMIT_MS } from "./eventually.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

type Account = { readonly email: string; readonly password: string };
interface Options {
	readonly theme?: "light" | "dark";
	readonly width?: number;
	readonly height?: number;
	/** Administrator to sign in before the page opens. */
	readonly admin?: Account;
}

/** Windows of closed consoles. Opening one takes as much CPU time as a test. */
const idleWindows = new WeakMap<Browser, Page[]>();

async function openWindow(browser: Browser): Promise<Page> {
	const idle = idleWindows.get(browser)?.pop();
	if (idle) return idle;
	const context = await browser.newContext({ reducedMotion: "reduce" });
	return context.newPage();
}
/**
 * Records the messages about changes, once per loaded page. Each is shown for a few seconds; on a
 * busy machine, this process may not look in that time. Not an init script, which would run in the
 * sandboxed frames of e-mails as well.
 */
const RECORD_MESSAGES = `if (!globalThis.messages) {
	const toasts = (node) => [...(node.querySelectorAll?.(".toast") ?? [])];
	const add = (found) => messages.push(...found.map(({ textContent }) => textContent));
	globalThis.messages = [];
	add(toasts(document));
	new MutationObserver((mutations) => {
		for (const { addedNodes } of mutations)
			for (const node of addedNodes) add(node.matches?.(".toast") ? [node] : toasts(node));
	}).observe(document, { subtree: true, childList: true });
}`;

/** The admin console in a browser, of a shop in any deployment mode. */
export class AdminConsole {
	readonly page: Page;
	readonly context: BrowserContext;
	/** Script errors, violations of the Content Security Policy, and requests to other origins. */
	readonly problems: string[] = [];
	readonly #url: string;

	private constructor(url: string, page: Page) {
		this.#url = url;
		this.context = page.context();
		this.page = page;
		page.setDefaultTimeout(LIMIT_MS);
		page.on("request", (request) => {
			if (!request.url().startsWith(url) && !request.url().startsWith("data:"))
				this.problems.push(`request to ${request.url()}`);
		});
		page.on("domcontentloaded", () => {
			page.evaluate(RECORD_MESSAGES).catch(() => undefined);
		});
		page.on("pageerror", ({ message }) => this.problems.push(message));
		page.on("console", (message) => {
			// The browser reports responses such as 401, which the console handles.
			if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
				this.problems.push(message.text());
		});
	}

	/** Opens the console of a gateway in a new session of a browser. @param path without /console */
	static async open(
		browser: Browser,
		url: string,
		path = "",
		{ theme = "light", width = 1280, height = 800, admin }: Options = {},
	): Promise<AdminConsole> {
		const page = await openWindow(browser);
		await page.setViewportSize({ width, height });
		await page.emulateMedia({ colorScheme: theme });
		const console = new AdminConsole(url, page);
		if (admin) await console.#startSession(admin);
		await console.goto(path);
		return console;
	}

	/** Sends the request of the sign-in. Showing its page takes as much CPU time as a test. */
	async #startSession({ email, password }: Account): Promise<void> {
		const response = await this.context.request.post(`${this.#url}/console/session`, {
			headers: { "Console-Request": "1" },
			data: { email, password },
		});
		if (!response.ok()) throw new Error(`The sign-in failed with ${response.status()}`);
	}

	/** Loads a page. @param path without /console */
	async goto(path: string): Promise<void> {
		await this.page.goto(`${this.#url}/console${path}`);
	}

	/** Opens a page as the browser's history does, without loading. @param path without /console */
	async visit(path: string): Promise<void> {
		const address = JSON.stringify(`${this.#url}/console${path}`);
		await this.page.evaluate(
			`history.pushState(null, "", ${address}); dispatchEvent(new PopStateEvent("popstate"))`,
		);
	}

	/** Changes the size of the window. */
	async resize(size: { width: number; height: number }): Promise<void> {
		await this.page.setViewportSize(size);
	}

	/** Changes the theme of the operating system, and waits until the page has adopted it. */
	async useTheme(theme: "light" | "dark"): Promise<void> {
		await this.page.emulateMedia({ colorScheme: theme });
		await this.page.locator(`html[data-theme="${theme}"]`).waitFor({ state: "attached" });
	}

	/**
	 * Waits for an address. The content of a page may be older than its address: a row may be there
	 * because the list before contained it too.
	 *
	 * @param path with its query, without /console
	 */
	async reaches(path: string): Promise<void> {
		const address = `${this.#url}/console${path}`;
		await this.page.waitForURL(({ href }) => href === address);
	}

	/** Submits the sign-in. */
	async signIn({ email, password }: Account): Promise<void> {
		await this.page.getByLabel("E-mail address").fill(email);
		await this.page.getByLabel("Password").fill(password);
		await this.button("Sign in").click();
	}

	/** Waits for the page with this title. */
	async shows(title: string | RegExp): Promise<void> {
		await this.page.getByRole("heading", { level: 1, name: title }).waitFor();
	}

	/** Opens a section through the navigation. */
	async section(title: string): Promise<void> {
		await this.page.getByRole("navigation", { name: "Sections" }).getByText(title).click();
		await this.shows(title);
	}

	button(name: string): Locator {
		return this.page.getByRole("button", { name, exact: true });
	}
	/** Part of a page by its title. */
	panel(title: string): Locator {
		return this.page.getByRole("region", { name: title, exact: true }).first();
	}
	dialog(): Locator {
		return this.page.getByRole("dialog");
	}
	/** Clicks a button of the open dialog. */
	async choose(action: string): Promise<void> {
		await this.dialog().getByRole("button", { name: action, exact: true }).click();
	}
	/**
	 * Waits for the message about a change since the page was loaded. A message that was awaited
	 * before, or is older than such a message, does not count.
	 */
	async confirms(text: string): Promise<void> {
		await eventually(async () => {
			await this.page.evaluate(RECORD_MESSAGES);
			const messages = await this.page.evaluate<string[]>("messages");
			const found = messages.findIndex((message) => message.includes(text));
			if (found < 0) throw new Error(`"${text}" is not among ${JSON.stringify(messages)}`);
			await this.page.evaluate(`messages.splice(0, ${found + 1})`);
		});
	}

	/** Violations of axe-core's rules, including contrast, on the current page. */
	async violations(): Promise<string[]> {
		// A page that was not loaded again still contains it.
		if (!(await this.page.evaluate<boolean>('"axe" in globalThis'))) await this.page.evaluate(axe);
		return this.page.evaluate(async () => {
			const { axe } = globalThis as unknown as { axe: { run(): Promise<Results> } };
			interface Results {
				violations: { id: string; help: string; nodes: { html: string }[] }[];
			}
			const { violations } = await axe.run();
			return violations.flatMap(({ id, help, nodes }) =>
				nodes.map(({ html }) => `${id} (${help}): ${html}`),
			);
		});
	}

	/** Ends the session and leaves the window to the next console. */
	async close(): Promise<void> {
		const { context, page } = this;
		await page.removeAllListeners();
		await page.unrouteAll({ behavior: "ignoreErrors" });
		for (const other of context.pages()) if (other !== page) await other.close();
		await page.evaluate("localStorage.clear(); sessionStorage.clear()");
		// Another origin would start a new process of the browser, here and for the next console.
		await page.goto(`${this.#url}/health/live`);
		await context.clearCookies();
		const browser = context.browser()!;
		idleWindows.set(browser, [...(idleWindows.get(browser) ?? []), page]);
	}
}
