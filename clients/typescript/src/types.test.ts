import { expect, test } from "@jest/globals";
import {
	type ActionName,
	type CodeOf,
	createClient,
	isProblem,
	type ParamsOf,
	type ProblemCode,
	type ResultOf,
	type Rows,
} from "./index.ts";
import { routes } from "./routes.ts";

/** The compiler checks these functions; they are not called. */
type Equal<A, B> =
	(<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <_ extends true>(): void => undefined;
const shop = createClient({ url: "http://shop.invalid" });

export function actions(): void {
	holds<Equal<ActionName, keyof typeof routes>>();
	holds<Equal<ParamsOf<"orders.ship">, { id: string }>>();
	holds<Equal<ResultOf<"users.remove">, void>>();
	holds<Equal<ResultOf<"orders.list">[number]["status"], ResultOf<"orders.get">["status"]>>();
	// @ts-expect-error: an internal action
	shop.inventory.reserve({ orders: [] });
	// @ts-expect-error: payment providers call webhooks
	shop.payments.webhook({ provider: "stripe" });
}

export async function params(id: string): Promise<void> {
	await shop.orders.create({ items: [{ product_id: id, quantity: 1 }] });
	// @ts-expect-error: `quantity` is missing
	await shop.orders.create({ items: [{ product_id: id }] });
	// @ts-expect-error: no such parameter
	await shop.orders.list({ state: "confirmed" });
	// @ts-expect-error: no such status
	await shop.orders.list({ status: "done" });
	// @ts-expect-error: a parameter of the path
	await shop.orders.get({});
	// @ts-expect-error: parameters are required
	await shop.orders.get();
	await shop.products.list();
	await shop.products.list({ attr: { color: ["red"] }, in_stock: true });
	// @ts-expect-error: the gateway sets the cursor
	await shop.products.exportRows({ cursor: "1" });
}

export async function results(id: string): Promise<void> {
	const order = await shop.orders.get({ id });
	holds<Equal<typeof order.total_amount, number>>();
	holds<Equal<typeof order.user_id, string | null>>();
	// @ts-expect-error: no such field
	order.weight;
	const page = await shop.products.list();
	holds<Equal<typeof page, Rows<ResultOf<"products.list">[number]>>>();
	const { value, etag } = await shop.products.get({ id }).withResponse();
	holds<Equal<typeof value.variants, ResultOf<"products.get">["variants"]>>();
	holds<Equal<typeof etag, string | undefined>>();
	for await (const event of shop.orders.events({ id })) {
		holds<Equal<typeof event.data.time, string>>();
		if (event.type === "order.cancelled") holds<Equal<typeof event.data.reason, string>>();
		// @ts-expect-error: only a cancelled order has a reason
		if (event.type === "order.created") event.data.reason;
	}
	const { errors } = await shop.products.importRows("", { format: "csv" });
	holds<Equal<(typeof errors)[number]["sku"], string | null>>();
}

export async function options(id: string): Promise<void> {
	await shop.orders.create({ items: [] }, { idempotencyKey: "k", respondAsync: true });
	await shop.products.update({ id }, { ifMatch: '"1"' });
	// @ts-expect-error: not idempotent by key
	await shop.orders.ship({ id }, { idempotencyKey: "k" });
	// @ts-expect-error: responds when it is complete
	await shop.orders.ship({ id }, { respondAsync: true });
	// @ts-expect-error: an order has no ETag
	await shop.orders.ship({ id }, { ifMatch: '"1"' });
	// @ts-expect-error: an upload has a format
	await shop.products.importRows("", {});
	shop.with({ cartToken: "c", attempts: 1 }).carts.get({ id });
	// @ts-expect-error: an option of one request
	shop.with({ idempotencyKey: "k" });
}

export function problems(error: unknown, placing: CodeOf<"orders.create">): void {
	holds<"OUT_OF_STOCK" extends typeof placing ? true : false>();
	holds<"VALIDATION_ERROR" extends typeof placing ? true : false>();
	holds<"EMAIL_TAKEN" extends typeof placing ? false : true>();
	if (isProblem(error)) holds<Equal<typeof error.code, ProblemCode>>();
	if (isProblem(error, "OUT_OF_STOCK", "PAYMENT_DECLINED"))
		holds<Equal<typeof error.code, "OUT_OF_STOCK" | "PAYMENT_DECLINED">>();
	// @ts-expect-error: no such code
	isProblem(error, "OUT_OF_MONEY");
	// @ts-expect-error: not a code of the action
	isProblem<CodeOf<"orders.create">>(error, "EMAIL_TAKEN");
}

test("the client has a method for every action with a route", () => {
	const services = shop as unknown as Record<string, Record<string, unknown>>;
	const missing = Object.keys(routes).filter((action) => {
		const [service, name] = action.split(".") as [string, string];
		return typeof services[service]?.[name] !== "function";
	});
	expect(missing).toEqual([]);
});
