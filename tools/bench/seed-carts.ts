import type { SeedHistory, SeedRows } from "./seed-history.ts";

/** Token of cart `n`, and the code of the coupon that all carts contain. */
export const cartToken = (n: number): string => `cart${n}`;
const COUPON = "BENCH";
const ADDRESS = {
	name: "A Guest",
	line1: "Main Street 1",
	postal_code: "10115",
	city: "Berlin",
	country: "DE",
};

/** Carts of guests, with a coupon, a tax rate and a shipping method for them. */
export function commerceRows(history: SeedHistory): Readonly<Record<string, readonly SeedRows[]>> {
	const { carts, products } = history.size;
	if (carts === 0) return {};
	const product = history.sqlId("product", `((n::bigint * 7919) % ${products})`);
	return {
		promotions: [
			{
				table: "promotions",
				to: 1,
				columns: {
					id: history.sqlId("cart", "n", "promotion"),
					name: "'A tenth'",
					code: `'${COUPON}'`,
					priority: "0",
					combinable: "true",
					currency: "'EUR'",
					conditions: "'{}'::jsonb",
					effect: `'{"type": "percent_off", "value": 10}'::jsonb`,
					usage_limit: "1000000000",
				},
			},
		],
		tax: [
			{
				table: "tax_rates",
				to: 1,
				columns: {
					country: "'DE'",
					region_key: "''",
					category_key: "''",
					name: "'VAT'",
					rate: "0.19",
					position: "0",
				},
			},
		],
		shipping: [
			{
				table: "shipping_methods",
				to: 1,
				columns: {
					code: "'standard'",
					name: "'Standard'",
					countries: "array['*']",
					currency: "'EUR'",
					price: "4.90",
					tiers: "'[]'::jsonb",
					position: "0",
				},
			},
		],
		carts: [
			{
				table: "carts",
				to: carts,
				columns: {
					id: history.sqlId("cart"),
					token_digest: "sha256(('cart' || n)::bytea)",
					currency: "'EUR'",
					email: "'guest' || n || '@example.com'",
					shipping_address: `'${JSON.stringify(ADDRESS)}'::json`,
					coupon_codes: `array['${COUPON}']`,
					lines: `json_build_array(json_build_object(
						'product_id', ${product}, 'quantity', 1, 'seen', null))`,
					expires_at: "now() + interval '30 days'",
				},
			},
		],
	};
}
