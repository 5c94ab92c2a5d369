import { type Customer, makeProduct, register } from "../../test/support/builders.ts";
import { fuzzChanges } from "../../test/support/overlapping-changes.ts";
import type { Shop } from "../../test/support/shop.ts";
import type { StreamFuzzOptions } from "./event-streams.ts";
import type { FuzzOptions } from "./fuzz.ts";

type Http = Pick<Shop, "http">;

/** A new customer with an order, and an administrator whose token stays valid. */
export const setUpWith =
	(shop: Http, admin: () => Promise<Customer>): FuzzOptions["setUp"] =>
	async () => {
		const [administrator, customer] = [await admin(), await register(shop)];
		const product = await makeProduct(shop, administrator, { stock: 1_000_000 });
		const order = await placeOrder(shop, customer, product);
		const { body: payments } = await shop.http(`GET /api/payments?order_id=${order.id}`, {
			token: customer.token,
		});
		return {
			tokens: [undefined, customer.token, administrator.token, administrator.token],
			known: {
				id: [customer.id, product.id, order.id, payments[0]?.id ?? order.id],
				product_id: [product.id],
				order_id: [order.id],
				user_id: [customer.id],
			},
		};
	};

/** Removes the tax rates and shipping methods of earlier requests, which may deliver no order. */
async function removePrices({ http }: Http, { token }: Customer): Promise<void> {
	await http("PUT /api/tax/rates", { token, body: [] });
	const { body: methods } = await http("GET /api/shipping/methods");
	for (const { code } of methods as { code: string }[])
		await http(`DELETE /api/shipping/methods/${code}`, { token });
}

/** A new customer with one confirmed and one cancelled order. */
export const streamsSetUpWith =
	(shop: Http, admin: () => Promise<Customer>): StreamFuzzOptions["setUp"] =>
	async () => {
		const [administrator, customer] = [await admin(), await register(shop)];
		await removePrices(shop, administrator);
		const product = await makeProduct(shop, administrator, { stock: 100 });
		const [open, finished] = [
			await placeOrder(shop, customer, product),
			await placeOrder(shop, customer, product),
		];
		await shop.http(`POST /api/orders/${finished.id}/cancel`, { token: customer.token });
		return { token: customer.token, open: open.id, finished: finished.id };
	};

async function placeOrder(
	{ http }: Http,
	{ token }: Customer,
	{ id: product_id }: { id: string },
): Promise<{ id: string }> {
	return (await http("POST /api/orders", { token, body: { items: [{ product_id, quantity: 1 }] } }))
		.body;
}

/** Overlapping changes of one product. Readers at all gateways must see acknowledged changes. */
export async function fuzzProductChanges(
	gateways: readonly Http[],
	admin: () => Promise<Customer>,
	{ seed, writes }: { readonly seed: number; readonly writes: number },
): Promise<string[]> {
	const { token } = await admin();
	const { body: product } = await gateways[0]!.http("POST /api/products", {
		token,
		body: { name: "0", price: 1, category: "Things", stock: 1 },
	});
	const at = (index: number) => gateways[index % gateways.length]!;
	const path = `/api/products/${product.id}`;
	return fuzzChanges({
		seed,
		writers: 4,
		readers: 4,
		writes,
		async write(value, writer) {
			const { status } = await at(writer).http(`PATCH ${path}`, {
				token,
				body: { name: String(value) },
			});
			if (status !== 200) throw new Error(`PATCH ${path} returned ${status}`);
		},
		read: async (reader, next) => {
			const gateway = at(reader);
			if (next() < 0.5) return Number((await gateway.http(`GET ${path}`)).body.name);
			const { body } = await gateway.http("GET /api/products?sort=-created_at&limit=100");
			const found = body.find(({ id }: { id: string }) => id === product.id);
			// Products created concurrently may have displaced it from the page.
			return Number((found ?? (await gateway.http(`GET ${path}`)).body).name);
		},
	});
}
