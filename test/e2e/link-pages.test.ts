import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { ParsedMail } from "mailparser";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { v7 as uuid } from "uuid";
import { pricedOrder } from "../../services/orders/test/stubbed-order-shop.ts";
import { chromiumPath, startBrowser, testInBrowser } from "../support/browser.ts";
import { type Customer, login, makeAdmin, makeProduct, register } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http.ts";
import { type MailServer, startMailServer } from "../support/mail-server.ts";
import { type Shop, startShop } from "../support/shop.ts";

const PAGES = ["/verify-email", "/password-reset", "/email-change", "/email-change/undo"];
const FORM = { "content-type": "application/x-www-form-urlencoded" };

let mail: MailServer;
let shop: Shop;
let browser: Browser | undefined;
let context: BrowserContext | undefined;
const log: string[] = [];
beforeAll(async () => {
	mail = await startMailServer();
	const env = { SMTP_URL: mail.url, LOGLEVEL: "info", PUBLIC_URL: "http://shop.invalid" };
	shop = await startShop({ env, onLog: (line) => void log.push(line) });
	if (!chromiumPath) return;
	browser = await startBrowser();
	context = await browser.newContext({ javaScriptEnabled: false });
});
afterAll(async () => {
	await browser?.close();
	await shop?.stop();
	await mail?.stop();
});

/** Path and query of the latest mailed link of a template. */
const linkTo = (email: string, template: string): Promise<string> =>
	eventually(() => {
		const isTo = ({ to }: ParsedMail) =>
			[to].flat().some((list) => list?.value.some(({ address }) => address === email));
		const found = mail.mails.findLast(
			(one) => one.messageId?.includes(`.${template}@`) && isTo(one),
		);
		return /http:\/\/shop\.invalid(\S+token=[\w-]+)/.exec(found!.text!)![1]!;
	});
/** External requests of the pages, and violations of their content security policy. */
const violations: string[] = [];
/** Opens a link in the browser. */
async function open(link: string): Promise<Page> {
	const page = await context!.newPage();
	page.on("request", (request) => {
		if (!request.url().startsWith(shop.url) && !request.url().startsWith("data:"))
			violations.push(`loads ${request.url()}`);
	});
	page.on("console", (message) => {
		if (/security policy|refused|blocked/i.test(message.text())) violations.push(message.text());
	});
	await page.goto(shop.url + link);
	return page;
}
afterEach(() => expect(violations).toEqual([]));
/**
 * Submits the form.
 * @returns the text of the next page
 */
async function submit(page: Page, password?: string): Promise<string | null> {
	if (password) await page.getByLabel("New password").fill(password);
	await page.getByRole("button").click();
	return page.locator("main").textContent();
}
const me = async (account: Pick<Customer, "email" | "password">) =>
	clientOf(shop, { token: await login(shop, account) }).users.me();

const changeEmail = ({ id, token, password }: Customer, email: string) =>
	clientOf(shop, { token }).users.update({ id, email, current_password: password });

testInBrowser("the link confirms an e-mail address without JavaScript", async () => {
	const customer = await register(shop);
	const link = await linkTo(customer.email, "welcome");
	const page = await open(link);
	// Opening a link changes nothing, because mail scanners open links as well.
	expect(await me(customer)).toMatchObject({ is_verified: false });
	expect(await submit(page)).toContain("Your e-mail address is confirmed.");
	expect(await me(customer)).toMatchObject({ is_verified: true });
	expect(await submit(await open(link))).toContain("This link is no longer valid.");
});

testInBrowser("the link resets a password without JavaScript", async () => {
	const customer = await register(shop);
	await clientOf(shop).users.requestPasswordReset({ email: customer.email });
	const page = await open(await linkTo(customer.email, "password_reset"));
	// The browser accepts 37 characters, but bcrypt rejects their 74 bytes.
	const rejection = await submit(page, "é".repeat(37));
	expect(rejection).toContain("longer than 72 bytes");
	expect(await submit(page, "battery staple")).toContain("Your new password is set.");
	expect(await me({ ...customer, password: "battery staple" })).toMatchObject({
		id: customer.id,
	});
});

testInBrowser("links change an e-mail address and undo the change without JavaScript", async () => {
	const customer = await register(shop);
	const email = `new-${customer.email}`;
	await changeEmail(customer, email);
	const changed = await submit(await open(await linkTo(email, "email_change")));
	expect(changed).toContain("Your account uses this e-mail address now.");
	expect(await me({ ...customer, email })).toMatchObject({ id: customer.id });
	const undone = await submit(
		await open(await linkTo(customer.email, "email_change_notice")),
		"battery staple",
	);
	expect(undone).toContain("Your account uses this e-mail address again.");
	expect(await me({ ...customer, password: "battery staple" })).toMatchObject({
		id: customer.id,
	});
});

test("every mailed link opens a page", async () => {
	const customer = await register(shop);
	await clientOf(shop).users.requestPasswordReset({ email: customer.email });
	const newEmail = `new-${customer.email}`;
	await changeEmail(customer, newEmail);
	const links = await Promise.all([
		linkTo(customer.email, "welcome"),
		linkTo(customer.email, "password_reset"),
		linkTo(newEmail, "email_change"),
		linkTo(customer.email, "email_change_notice"),
	]);
	expect(links.map((link) => link.split("?")[0])).toEqual(PAGES);
	for (const link of links) {
		const page = await send(shop.url, `GET ${link}`);
		expect(page.status).toBe(200);
		expect(page.body).toContain(`value="${link.split("token=")[1]}"`);
	}
});

test("the link in a mail to a guest shows the order", async () => {
	const product = await makeProduct(shop, await makeAdmin(shop));
	const [line] = pricedOrder().lines;
	const email = `guest-${product.id}@example.com`;
	const { id } = await shop.call("orders.place", {
		order_id: uuid(),
		user_id: null,
		payment_token: "tok_ok",
		priced: pricedOrder({ email, lines: [{ ...line!, product_id: product.id }], adjustments: [] }),
	});
	const text = await eventually(() => {
		const isTo = ({ to }: ParsedMail) => JSON.stringify(to).includes(email);
		return mail.mails.find(isTo)!.text!;
	});
	expect(text).toContain("Total: €40.98\n");
	const link = /http:\/\/shop\.invalid(\S+)/.exec(text)![1]!;
	const { status, body } = await send(shop.url, `GET ${link}`);
	expect(status).toBe(200);
	expect(body).toContain(`Order ${id}<br>\nStatus: confirmed`);
	expect(body).toContain("Total: €40.98");
	const token = new URL(link, shop.url).searchParams.get("token")!;
	const order = await clientOf(shop).orders.get({ id }, { orderToken: token });
	expect(order).toMatchObject({ id, user_id: null });
	await eventually(() => expect(log.join("")).toContain('"path":"/order"'));
	expect(log.join("")).not.toContain(token);
});

test("pages run no scripts, send no referrer and are not stored", async () => {
	for (const path of PAGES) {
		const { headers, body } = await send(shop.url, `GET ${path}?token=abc`);
		expect(headers.get("content-security-policy")).toMatch(
			/^default-src 'none';style-src 'sha256-[\w+/=]+';img-src data:;form-action 'self'/,
		);
		expect(headers.get("referrer-policy")).toBe("no-referrer");
		expect(headers.get("cache-control")).toBe("no-store");
		expect(body).not.toMatch(/<script|https?:/);
	}
});

test.each(["", "?token=", "?token=%3Cscript%3E", `?token=${"x".repeat(201)}`])(
	"a link with the query %j is reported as incomplete",
	async (query) => {
		for (const path of PAGES) {
			const { status, body } = await send(shop.url, `GET ${path}${query}`);
			expect(status).toBe(400);
			expect(body).toContain("This link is incomplete.");
			expect(body).not.toContain("<form");
		}
	},
);

test("an invalid form is rejected with a page", async () => {
	for (const path of PAGES) {
		const post = (body: string, headers: Record<string, string> = FORM) =>
			send(shop.url, `POST ${path}`, { body, headers });
		const responses = [
			await post("token=unknown&new_password=battery+staple"),
			await post("new_password=battery+staple"),
			await post(`token=${"x".repeat(200_000)}`),
			await post("{}", { "content-type": "application/json" }),
		];
		expect(responses.map(({ status }) => status)).toEqual([422, 422, 413, 415]);
		for (const { headers } of responses) expect(headers.get("content-type")).toContain("text/html");
	}
});

test("tokens of links are not logged", async () => {
	const secret = "planted-secret-token";
	for (const path of PAGES) {
		await send(shop.url, `GET ${path}?token=${secret}`);
		await send(shop.url, `POST ${path}?token=${secret}`, {
			body: `token=${secret}&new_password=planted-password`,
			headers: FORM,
		});
	}
	await eventually(() =>
		expect(
			log.filter((line) => line.includes(`"path":"${PAGES.at(-1)}"`)).length,
		).toBeGreaterThanOrEqual(2),
	);
	expect(log.filter((line) => line.includes("planted"))).toEqual([]);
});

test("forms are subject to the strict rate limit of their client address", async () => {
	const limited = await startShop({
		services: ["api", "auth", "users"],
		env: { RATE_LIMIT_ENABLED: "true", RATE_LIMIT_STRICT_PER_MINUTE: "3" },
	});
	try {
		const statuses = [];
		for (let i = 0; i < 5; i++)
			statuses.push(
				(await send(limited.url, "POST /verify-email", { body: "token=unknown", headers: FORM }))
					.status,
			);
		expect(statuses).toEqual([422, 422, 422, 429, 429]);
	} finally {
		await limited.stop();
	}
});
