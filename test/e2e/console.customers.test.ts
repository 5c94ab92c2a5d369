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
let customer: Customer;

const { problemsOf } = consoleShop({
	page: ["/customers", "Customers"],
	async onStart(started) {
		({ shop, admin } = started);
		customer = await register(shop);
	},
	onOpen(opened) {
		console = opened;
	},
});

const user = ({ id }: Customer) => clientOf(shop, admin).users.get({ id });
const row = ({ email }: Pick<Customer, "email">) =>
	console.page.getByRole("row").filter({ hasText: email });
/** Opens the page of a customer. */
async function open({ id }: Pick<Customer, "id">, name = "A Customer"): Promise<void> {
	await console.goto(`/customers/${id}`);
	await console.shows(name);
}
/** Selects an action and confirms it. */
async function confirm(button: string, action: string): Promise<void> {
	await console.button(button).click();
	await console.choose(action);
}

testInBrowser(
	"customers are found by a part of the name or address, by role and by state",
	async () => {
		const search = console.page.getByLabel("Name or e-mail address");
		await search.fill(customer.email.slice(0, 8));
		await row(admin).waitFor({ state: "hidden" });
		await row(customer).waitFor();
		await search.fill("an adm");
		await row(customer).waitFor({ state: "hidden" });
		await row(admin).waitFor();
		await search.fill("no such person");
		await console.page.getByText("No account matches.").waitFor();
		await search.fill("");
		await row(customer).waitFor();
		await console.page.getByLabel("Role").selectOption("admin");
		await row(customer).waitFor({ state: "hidden" });
		await console.reaches("/customers?role=admin");
		await console.page.reload();
		await row(admin).waitFor();
		await console.page.getByLabel("State").selectOption("false");
		await console.page.getByText("No account matches.").waitFor();
		expect(console.problems).toEqual([]);
	},
);

testInBrowser("the list has pages", async () => {
	for (let i = 0; i < 26; i++) await register(shop);
	await console.page.reload();
	await console.page.getByRole("link", { name: "Next" }).click();
	await console.page.getByText(/26 to \d+ of/).waitFor();
	await console.reaches("/customers?page=2");
	await console.page.getByLabel("Name or e-mail address").fill(customer.email);
	await row(customer).waitFor();
	await console.reaches(`/customers?q=${encodeURIComponent(customer.email)}`);
});

testInBrowser(
	"a customer's page shows addresses, orders and messages, and leads to them",
	async () => {
		await open(customer);
		await console.page.getByText("No address is saved.").waitFor();
		await console.page.getByText("No order yet.").waitFor();
		const address = { name: "Ada", line1: "1 Long Lane", city: "London", country: "GB" };
		const body = { ...address, postal_code: "EC1A 9HF", is_default_shipping: true };
		const own = clientOf(shop, customer);
		await own.users.addAddress({ id: customer.id, ...body });
		const { body: order } = await placeOrder(shop, customer, await makeProduct(shop, admin));
		await eventually(async () => {
			expect(await own.notifications.list()).toHaveLength(2);
		});
		await console.page.reload();
		await console.panel("Account").getByText(customer.email).waitFor();
		await console.panel("Account").getByText("not verified").waitFor();
		await console.panel("Addresses").getByText("1 Long Lane").waitFor();
		await console.panel("Addresses").getByText("default for shipping").waitFor();
		await console.panel("Orders").getByText("€10.00").waitFor();
		await console.panel("Messages").getByRole("link", { name: "Welcome to the shop" }).click();
		await console.shows("Welcome to the shop");
		await console.page.goBack();
		await console.shows("A Customer");
		await console
			.panel("Orders")
			.getByRole("link", { name: order.id.slice(-8) })
			.click();
		await console.shows(`Order ${order.id}`);
		await console.page.getByRole("link", { name: "A Customer" }).click();
		await console.shows("A Customer");
		await console.reaches(`/customers/${customer.id}`);
		expect(console.problems).toEqual([]);
	},
);

testInBrowser(
	"an administrator changes the role, and deactivates and activates an account",
	async () => {
		const other = await register(shop);
		await open(other);
		await console.button("Make administrator …").click();
		await console.choose("Cancel");
		expect(await user(other)).toMatchObject({ role: "user" });
		await confirm("Make administrator …", "Make administrator");
		await console.confirms("A Customer is an administrator now.");
		await console.panel("Account").getByText("Administrator", { exact: true }).waitFor();
		expect(await user(other)).toMatchObject({ role: "admin" });
		await confirm("Make customer …", "Make customer");
		await console.confirms("A Customer is a customer now.");

		await confirm("Deactivate …", "Deactivate");
		await console.panel("Account").getByText("deactivated").waitFor();
		expect(await user(other)).toMatchObject({ is_active: false, role: "user" });
		await confirm("Activate …", "Activate");
		await console.panel("Account").getByText("active", { exact: true }).waitFor();
		expect(await user(other)).toMatchObject({ is_active: true });
		expect(console.problems).toEqual([]);
	},
);

testInBrowser(
	"administrators cannot change their own role or state, and see why a change is refused",
	async () => {
		await open(admin, "An Admin");
		await console.page.getByText("This is your own account").waitFor();
		expect(await console.page.getByRole("button", { name: "Deactivate" }).count()).toBe(0);
		await console.goto("/customers/00000000-0000-7000-8000-000000000000");
		await console.page.getByRole("alert").getByText("User not found.").waitFor();
	},
);

testInBrowser("the pages are accessible and fit narrow screens", async () => {
	const problems = await problemsOf({
		"/customers": ["Customers", customer.email],
		"/customers?q=nothing": ["Customers", "No account matches."],
		[`/customers/${customer.id}`]: ["A Customer", "Welcome to the shop"],
	});
	expect(problems).toEqual([]);
	await open(customer);
	await console.button("Deactivate …").click();
	await console.dialog().waitFor();
	expect(await console.violations()).toEqual([]);
});

testInBrowser(
	"while another service is down, the account is shown and can be changed",
	async () => {
		await shop.broker.destroyService("notifications");
		await open(customer);
		const messages = console.panel("Messages");
		await messages.getByText("The service does not respond.").waitFor();
		await messages.getByRole("button", { name: "Retry" }).waitFor();
		await console.panel("Orders").getByText("€10.00").waitFor();
		await confirm("Deactivate …", "Deactivate");
		await console.confirms("The account is deactivated.");
	},
);
