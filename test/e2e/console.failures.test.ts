import { expect } from "@jest/globals";
import { testInBrowser } from "../support/browser.ts";
import { type Customer, makeProduct, placeOrder, register } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import type { AdminConsole } from "../support/console.ts";
import { consoleShop } from "../support/console-shop.ts";
import { eventually } from "../support/eventually.ts";
import type { Shop } from "../support/shop.ts";

let shop: Shop;
let admin: Customer;
let console: AdminConsole;

const { problemsOf } = consoleShop({
	// Two attempts for each event.
	env: () => ({ EVENT_BACKOFF: "0.01" }),
	page: ["/failures", "Dead letters"],
	onStart(started) {
		({ shop, admin } = started);
	},
	onOpen(opened) {
		console = opened;
	},
});

const asAdmin = () => clientOf(shop, admin);
const deadLetters = async () => (await asAdmin().operations.listDeadLetters()).rows;
/** Makes the handler of a service fail that inserts into a table, until `repair`. */
const damage = (service: string, table: string) =>
	shop.databases.query(
		service,
		`alter table ${table} add constraint broken check (false) not valid`,
	);
const repair = (service: string, table: string) =>
	shop.databases.query(service, `alter table ${table} drop constraint broken`);
/** Registers customers whose welcome message fails. @returns the IDs of the customers */
async function fail(count: number): Promise<string[]> {
	await damage("notifications", "messages");
	const ids: string[] = [];
	for (let i = 0; i < count; i++) ids.push((await register(shop)).id);
	await eventually(async () => {
		const subjects = (await deadLetters()).map(({ subject }) => subject);
		expect(subjects).toEqual(expect.arrayContaining(ids));
	});
	await repair("notifications", "messages");
	return ids;
}
const rows = () => console.page.locator("tbody tr");
/** Selects an action and confirms it. */
async function confirm(button: string, action: string): Promise<void> {
	await console.button(button).click();
	await console.choose(action);
}
async function order(): Promise<string> {
	const { body } = await placeOrder(shop, admin, await makeProduct(shop, admin));
	return body.id;
}

testInBrowser(
	"a dead letter of a failing handler is shown with its event, retried and disappears",
	async () => {
		await console.page.getByText("No dead letter: every event is processed").waitFor();
		const [id] = await fail(1);
		await console.page.getByRole("link", { name: "user.created" }).click();
		await console.shows("user.created");
		await console.panel("Errors").getByText('violates check constraint "broken"').first().waitFor();
		expect(await console.panel("Errors").locator("tbody tr").count()).toBe(2);
		await console.panel("Content").getByText(`"user_id": "${id}"`).waitFor();
		await console
			.panel("Event")
			.getByRole("link", { name: id!.slice(-8) })
			.click();
		await console.shows("A Customer");
		await console.page.goBack();
		await console.shows("user.created");
		await console.button("Retry").click();
		await console.confirms("The event is retried.");
		await console.shows("Dead letters");
		await console.page.getByText("No dead letter: every event is processed").waitFor();
		await eventually(async () => {
			const found = await asAdmin().notifications.list({ user_id: id! });
			expect(found).toMatchObject([{ template: "welcome" }]);
		});
		expect(console.problems).toEqual([]);
	},
);

testInBrowser(
	"dead letters are filtered by service and type, retried together, and discarded after a question",
	async () => {
		const [first] = await fail(3);
		await damage("notifications", "messages");
		await order();
		await eventually(async () => expect(await deadLetters()).toHaveLength(4));
		await repair("notifications", "messages");
		await console.page.getByRole("link", { name: "order.confirmed" }).waitFor();
		await console.page.getByLabel("Event type").fill("order");
		await expectRows(1);
		await console.page.getByLabel("Event type").fill("user.created");
		await expectRows(3);
		await console.page.getByLabel("Service").selectOption({ label: "notifications (4)" });
		await console.page.waitForURL("**/failures?type=user.created&service=notifications");

		const { event_id } = (await deadLetters()).find(({ subject }) => subject === first)!;
		await console.goto(`/failures/notifications/${event_id}`);
		await console.button("Discard …").click();
		await console.page.keyboard.press("Escape");
		await console.dialog().waitFor({ state: "hidden" });
		expect(await deadLetters()).toHaveLength(4);
		await confirm("Discard …", "Discard");
		await console.confirms("The event is discarded.");
		await expectRows(3);

		await console.goto("/failures?service=notifications&type=user.created");
		await expectRows(2);
		await console.button("Retry all …").click();
		await console
			.dialog()
			.getByText("all dead letters of notifications with the type user.created")
			.waitFor();
		await console.button("Retry all").click();
		await console.confirms("2 events are retried.");
		await console.page.getByText("No dead letter").waitFor();
		await console.goto("/failures?service=products");
		await console.page.getByText("No dead letter").waitFor();
		await console.page.getByLabel("Service").selectOption("");
		await expectRows(1);
		await confirm("Discard all …", "Discard all");
		await console.confirms("1 event is discarded.");
		await console.page.getByText("No dead letter").waitFor();
		expect(await deadLetters()).toEqual([]);
		expect(console.problems).toEqual([]);
	},
);
const expectRows = (count: number) =>
	eventually(async () => expect(await rows().count()).toBe(count));

testInBrowser("a dead letter of an invalid message has a title, and can be discarded", async () => {
	await shop.databases.query(
		"carts",
		`insert into retries (group_name, event_id, event, errors, next_at, dead_at)
			values ('carts', gen_random_uuid(), '{"text": "{"}',
				'[{"time": "2026-01-01T00:00:00.000Z", "message": "No JSON"}]', now(), now())`,
	);
	await console.page.getByRole("link", { name: "Invalid message" }).click();
	await console.shows("Invalid message");
	await console.panel("Event").getByText("Invalid message").waitFor();
	expect(await console.button("Retry").count()).toBe(0);
	await confirm("Discard …", "Discard");
	await console.confirms("The event is discarded.");
	expect(console.problems).toEqual([]);
});

testInBrowser("the dead letters of one service have pages", async () => {
	await shop.databases.query(
		"carts",
		`insert into retries (group_name, event_id, event, attempts, errors, next_at, dead_at)
			select 'carts', gen_random_uuid(), '{"type": "order.created", "subject": "x"}',
				2, '[{"time": "2026-01-01T00:00:00.000Z", "message": "Not today"}]', now(),
				now() - make_interval(secs => n)
			from generate_series(1, 60) as n`,
	);
	await console.page.reload();
	await console.page.getByText("These are the oldest 50.").waitFor();
	await console.page.getByLabel("Service").selectOption({ label: "carts (60)" });
	await console.page.getByRole("link", { name: "Next" }).click();
	await expectRows(10);
	await console.page.getByRole("link", { name: "First page" }).click();
	await expectRows(50);
	await asAdmin().operations.discard({ service: "carts" });
});

testInBrowser("a stuck order is listed, and its compensation is retried", async () => {
	const id = await order();
	await console.page.getByRole("link", { name: "Stuck orders" }).click();
	await console.shows("Stuck orders");
	await console.page.getByText("No order is stuck.").waitFor();
	await shop.databases.query(
		"orders",
		`update orders set saga_state = 'stuck', saga_owner = null, saga_reason = 'PAYMENT_DECLINED'
			where id = $1`,
		[id],
	);
	await rows().getByText("PAYMENT_DECLINED").waitFor();
	await console.page.getByRole("button", { name: `Retry order ${id}` }).click();
	await console.confirms("The compensation is retried.");
	await console.page.getByText("No order is stuck.").waitFor();
	await eventually(async () =>
		expect(await asAdmin().orders.get({ id })).toMatchObject({ status: "cancelled" }),
	);
	expect(console.problems).toEqual([]);
});

testInBrowser(
	"an audit shows its progress and its violations, with links to their orders",
	async () => {
		const id = await order();
		await shop.databases.query("shipping", "delete from shipments where order_id = $1", [id]);
		// Orders with a recent change are skipped.
		await shop.databases.query(
			"orders",
			"update orders set updated_at = now() - interval '1 hour' where id = $1",
			[id],
		);
		await console.page.getByRole("link", { name: "Audits" }).click();
		await console.shows("Audits");
		await console.page.getByText("No audit in the last 90 days.").waitFor();
		await console.button("Start audit …").click();
		await console.dialog().getByLabel("Orders placed since").fill("2025-01-31T12:00");
		await console.button("Start").click();
		await console.shows("Audit");
		const progress = console.panel("Progress");
		await progress.getByText("completed", { exact: true }).waitFor();
		await progress.getByText("2025").first().waitFor();
		await console.page.getByText("WRONG_SHIPMENT").waitFor();
		await rows()
			.getByRole("link", { name: id.slice(-8) })
			.click();
		await console.shows(`Order ${id}`);

		await console.goto("/audits");
		await expectRows(1);
		await rows().getByText("completed", { exact: true }).waitFor();
		await rows().getByRole("link").click();
		await console.shows("Audit");
		await console.page.getByText("WRONG_SHIPMENT").waitFor();
		expect(console.problems).toEqual([]);
	},
);

testInBrowser("a second audit leads to the running one, whose progress is live", async () => {
	const id = "019a0000-0000-7000-8000-000000000001";
	await shop.databases.query(
		"orders",
		`insert into audits (id, status, requested_by, total, checked, lease_until)
			values ($1, 'running', $2, 1000, 250, now() + interval '1 hour')`,
		[id, admin.id],
	);
	await console.goto("/audits");
	await console.button("Start audit …").click();
	await console.button("Start").click();
	await console.confirms("Another audit is running.");
	await console.page.waitForURL(`**/audits/${id}`);
	await console.page.getByText("250 of 1,000 orders").waitFor();
	await shop.databases.query("orders", "update audits set checked = 500 where id = $1", [id]);
	await console.page.getByText("500 of 1,000 orders").waitFor();
	expect(await console.page.getByRole("progressbar").getAttribute("value")).toBe("500");
	await shop.databases.query(
		"orders",
		`update audits set status = 'failed', finished_at = now(),
				failure = 'Payments did not respond'
			where id = $1`,
		[id],
	);
	await console.panel("Progress").getByText("Payments did not respond").waitFor();
	await console.page.getByRole("progressbar").waitFor({ state: "hidden" });
});

testInBrowser("the pages are accessible and fit narrow screens", async () => {
	await fail(1);
	const { event_id } = (await deadLetters())[0]!;
	const audits = await asAdmin().orders.listAudits();
	const found = audits.find(({ violation_count }) => violation_count > 0)!;
	const stuck = await order();
	await shop.databases.query(
		"orders",
		"update orders set saga_state = 'stuck', " +
			"saga_owner = null, saga_reason = 'TEST' where id = $1",
		[stuck],
	);
	const problems = await problemsOf({
		"/failures": ["Dead letters", "user.created"],
		"/failures?service=products": ["Dead letters", "No dead letter"],
		[`/failures/notifications/${event_id}`]: ["user.created", "violates check constraint"],
		"/stuck-orders": ["Stuck orders", "TEST"],
		"/audits": ["Audits", "completed"],
		[`/audits/${found.id}`]: ["Audit", "WRONG_SHIPMENT"],
	});
	expect(problems).toEqual([]);
	await console.goto("/audits");
	await console.button("Start audit …").click();
	await console.dialog().waitFor();
	expect(await console.violations()).toEqual([]);
});

testInBrowser(
	"services that are down are shown as unavailable, and everything else works",
	async () => {
		await rows().getByText("notifications").waitFor();
		await shop.broker.destroyService("shipping");
		const notice = console.page.getByText("Unavailable: shipping. Their dead letters are missing.");
		await notice.waitFor();
		await rows().getByText("notifications").waitFor();
		await console.page.getByLabel("Service").selectOption({ label: "shipping (unavailable)" });
		await console.page.getByText("No dead letter").waitFor();
		await notice.waitFor();
		expect(await console.violations()).toEqual([]);
		await console.page.getByLabel("Service").selectOption("");
		await confirm("Retry all …", "Retry all");
		await console.confirms("1 event is retried. Without those of shipping: it does not respond.");
		await shop.broker.destroyService("operations");
		await console.page.getByText("The service does not respond.").first().waitFor();
		await console.page.getByRole("link", { name: "Audits" }).click();
		await rows().getByText("completed", { exact: true }).waitFor();
		expect(console.problems).toEqual([]);
	},
);
