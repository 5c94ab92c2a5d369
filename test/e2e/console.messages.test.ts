import { afterAll, beforeAll, expect } from "@jest/globals";
import type { ParsedMail } from "mailparser";
import type { Frame } from "playwright-core";
import { testInBrowser } from "../support/browser.ts";
import { type Customer, makeProduct, placeOrder, register } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import type { AdminConsole } from "../support/console.ts";
import { consoleShop } from "../support/console-shop.ts";
import { eventually } from "../support/eventually.ts";
import { type MailServer, startMailServer } from "../support/mail-server.ts";
import type { Shop } from "../support/shop.ts";

let shop: Shop;
let admin: Customer;
let console: AdminConsole;
let customer: Customer;
let order: { readonly id: string };

let mail: MailServer;
beforeAll(async () => {
	mail = await startMailServer();
});

const { problemsOf } = consoleShop({
	env: () => ({ SMTP_URL: mail.url, PUBLIC_URL: "http://shop.invalid" }),
	page: ["/messages", "Messages"],
	async onStart(started) {
		({ shop, admin } = started);
		customer = await register(shop);
		order = (await placeOrder(shop, customer, await makeProduct(shop, admin))).body;
		await eventually(() => expect(mailsTo(customer)).toHaveLength(2));
	},
	onOpen(opened) {
		console = opened;
	},
});
afterAll(() => mail?.stop());

const mailsTo = ({ email }: Customer): ParsedMail[] =>
	mail.mails.filter(({ to }) =>
		[to].flat().some((list) => list?.value.some(({ address }) => address === email)),
	);
const subject = () => `Order ${order.id} is confirmed`;
const link = (name: string) => console.page.getByRole("link", { name });
/** Opens the message of a customer. */
async function open(name: string): Promise<void> {
	await console.goto(`/messages?q=${customer.email}`);
	await link(name).click();
	await console.shows(name);
}
/** The frame with the HTML of the message. */
async function frame(): Promise<Frame> {
	const element = await console.page.locator("iframe").elementHandle();
	const found = (await element!.contentFrame())!;
	await found.waitForLoadState();
	return found;
}

testInBrowser("messages are found by recipient, subject, kind and status", async () => {
	const search = console.page.getByLabel("Recipient or subject");
	await search.fill("no such recipient");
	await console.page.getByText("No message matches.").waitFor();
	await search.fill(customer.email);
	await link("Welcome to the shop").waitFor();
	await link(subject()).waitFor();
	await search.fill(order.id);
	await link("Welcome to the shop").waitFor({ state: "hidden" });
	await link(subject()).waitFor();
	await search.fill("welcome to");
	await link(subject()).waitFor({ state: "hidden" });
	await search.fill("");
	await console.page.getByLabel("Kind").selectOption("Order confirmed");
	await link(subject()).waitFor();
	await console.reaches("/messages?template=order_confirmed");
	await console.page.getByLabel("Status").selectOption("Failed");
	await console.page.getByText("No message matches.").waitFor();
	await console.page.getByLabel("Status").selectOption("Sent");
	await link(subject()).waitFor();
	await console.page.reload();
	await link(subject()).waitFor();
	expect(console.problems).toEqual([]);
});

testInBrowser("a message is shown as it was sent, and its delivery beside it", async () => {
	await open(subject());
	const sent = mailsTo(customer).find((one) => one.subject === subject())!;
	const text = await console.panel("Text").locator("pre").textContent();
	expect(text!.trim()).toBe(sent.text!.trim());
	const bodyOf = (html: string) => /<body>(.*)<\/body>/s.exec(html)![1]!.trim();
	expect(bodyOf(await (await frame()).content())).toBe(bodyOf(sent.html as string));
	const delivery = console.panel("Delivery");
	await delivery.getByText(customer.email).waitFor();
	await delivery.getByText("sent", { exact: true }).waitFor();
	await delivery.getByRole("link", { name: "Customer" }).click();
	await console.shows("A Customer");
	expect(console.problems).toEqual([]);
});

testInBrowser(
	"the HTML of a message runs no script, loads nothing and opens links in another tab",
	async () => {
		const origin = "http://tracker.invalid";
		const [requested, refused]: [string[], string[]] = [[], []];
		const isExternal = (url: string) => url.startsWith(origin);
		console.page.on("request", (request) => {
			if (isExternal(request.url())) requested.push(request.url());
		});
		console.page.on("requestfailed", (request) => {
			if (request.failure()?.errorText === "csp") refused.push(request.url());
		});
		const hostile = `<style>p { color: red }</style><p style="font-size: 2rem">Styled</p>
			<script>document.title = "script"; top.document.title = "script"</script>
			<img src="${origin}/pixel.png" onerror="document.title = 'handler'">
			<link rel="stylesheet" href="${origin}/style.css">
			<iframe src="${origin}/frame"></iframe>
			<meta http-equiv="refresh" content="0;url=${origin}/">
			<form action="${origin}/" id="form"><button>Submit</button></form>
			<a href="${shop.url}/docs/errors">Read more</a>
			<a href="${shop.url}/docs/errors" target="_top">Leave</a>`;
		// The gateway's own headers with other content: its templates escape all values.
		await console.page.route("**/api/notifications/*/html", async (route) => {
			const response = await route.fetch();
			const body = (await response.text()).replace("</body>", `${hostile}</body>`);
			await route.fulfill({ response, body });
		});
		await open(subject());
		const content = await frame();
		await content.getByText("Styled").waitFor();
		expect(
			await content.evaluate("getComputedStyle(document.querySelector('[style]')).color"),
		).toBe("rgb(255, 0, 0)");
		await content.getByRole("button", { name: "Submit" }).click();
		const [opened] = await Promise.all([
			console.context.waitForEvent("page"),
			content.getByRole("link", { name: "Read more" }).click(),
		]);
		await opened.waitForURL(`${shop.url}/docs/errors`);
		await content.getByRole("link", { name: "Leave" }).click();
		await console.shows(subject());
		expect(await content.title()).toBe(subject());
		expect(await console.page.title()).toBe(`${subject()} · Admin console`);
		// The browser reports requests that the policy refuses, and sends none of them.
		expect(requested.toSorted()).toEqual([`${origin}/pixel.png`, `${origin}/style.css`]);
		expect(refused.toSorted()).toEqual(requested.toSorted());
		expect(await content.evaluate("self.origin")).toBe("null");
	},
);

testInBrowser("a message is sent again by the mail server, after a confirmation", async () => {
	const before = mailsTo(customer).length;
	await open(subject());
	await console.button("Send again …").click();
	await console.dialog().getByText(`${customer.email} receives the message`).waitFor();
	await console.page.keyboard.press("Escape");
	await console.dialog().waitFor({ state: "hidden" });
	expect(mailsTo(customer)).toHaveLength(before);

	await console.button("Send again …").click();
	await console.button("Send again").click();
	await console.confirms("The message is queued again.");
	await eventually(() => expect(mailsTo(customer)).toHaveLength(before + 1));
	expect(mailsTo(customer).at(-1)).toMatchObject({ subject: subject() });
	await console.panel("Delivery").getByText("sent", { exact: true }).waitFor();
	expect(console.problems).toEqual([]);
});

testInBrowser("a refusal to send a message again names its reason", async () => {
	await open("Welcome to the shop");
	await console.panel("Text").getByText("The link is only in the message").waitFor();
	await console.button("Send again …").click();
	await console.button("Send again").click();
	await console.confirms(
		"The message contained a link that is valid once: the recipient can request a new one.",
	);
	await console.goto("/messages/00000000-0000-7000-8000-000000000000");
	await console.page.getByRole("alert").getByText("Message not found.").waitFor();
});

testInBrowser("a new message appears without reload", async () => {
	await console.page.getByLabel("Kind").selectOption("Order delivered");
	await console.page.getByText("No message matches.").waitFor();
	const { orders } = clientOf(shop, admin);
	await orders.ship({ id: order.id });
	await orders.deliver({ id: order.id });
	await link(`Order ${order.id} was delivered`).waitFor();
});

testInBrowser("the pages are accessible and fit narrow screens", async () => {
	await open(subject());
	const id = console.page.url().split("/").at(-1);
	const problems = await problemsOf({
		"/messages": ["Messages", "Welcome to the shop"],
		"/messages?q=nothing": ["Messages", "No message matches."],
		[`/messages/${id}`]: [subject(), "Hello,"],
	});
	expect(problems).toEqual([]);
	await console.button("Send again …").click();
	await console.dialog().waitFor();
	expect(await console.violations()).toEqual([]);
});

testInBrowser("while the service is down, the section shows the error and recovers", async () => {
	await link("Welcome to the shop").first().waitFor();
	const { schema } = shop.broker.getLocalService("notifications");
	await shop.broker.destroyService("notifications");
	await console.page.getByText("The service does not respond.").waitFor();
	await console.section("Customers");
	await console.page.getByText(customer.email).waitFor();
	shop.broker.createService(schema);
	await console.section("Messages");
	await link("Welcome to the shop").first().waitFor();
});
