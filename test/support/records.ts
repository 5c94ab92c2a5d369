import { v7 as uuid } from "uuid";
import type { Infer, Value } from "../../lib/contracts/schema.ts";
import type { orderSummary } from "../../services/orders/orders.contract.shapes.ts";
import type { Order } from "../../services/orders/orders.rules.ts";
import type { Product } from "../../services/products/products.rules.ts";
import type { promotions } from "../../services/promotions/promotions.contract.ts";
import type { User } from "../../services/users/users.rules.ts";

/** Time of all records, unless a test sets another. */
const time = "2026-01-01T00:00:00.000Z";

/** Verified, active customer, as the users service returns it. */
export function userRecord(overrides: Partial<User> = {}): User {
	const { id = uuid() } = overrides;
	return {
		id,
		email: `${id}@example.com`,
		full_name: "A Customer",
		role: "user",
		is_active: true,
		is_verified: true,
		created_at: time,
		updated_at: time,
		...overrides,
	};
}

/** Product at 19.99, as the products service returns it. */
export const productRecord = (overrides: Partial<Product> = {}): Product => ({
	id: uuid(),
	name: "Tea",
	description: null,
	price: 19.99,
	currency: "EUR",
	category: "Drinks",
	sku: null,
	parent_id: null,
	options: null,
	option_names: null,
	variant_count: 0,
	attributes: {},
	images: [],
	created_at: time,
	updated_at: time,
	...overrides,
});

/** Pending order without lines, as the orders service returns it. */
export const orderRecord = (overrides: Partial<Order> = {}): Order => ({
	id: uuid(),
	user_id: uuid(),
	email: null,
	status: "pending",
	items: [],
	subtotal: 0,
	discount_amount: 0,
	shipping_amount: 0,
	tax_amount: 0,
	total_amount: 0,
	currency: "EUR",
	prices_include_tax: true,
	shipping_method: null,
	shipping_address: null,
	billing_address: null,
	coupon_codes: [],
	cancellation_reason: null,
	payment: null,
	created_at: time,
	updated_at: time,
	...overrides,
});

/** Order without lines, as `orders.summaries` returns it. */
export function orderSummaryRecord(overrides: Partial<Order> = {}): Infer<typeof orderSummary> {
	const { status, cancellation_reason, payment, created_at, updated_at, ...shown } =
		orderRecord(overrides);
	return { ...shown, adjustments: [], taxes: [] };
}

export type Promotion = Value<typeof promotions.actions.automatic.returns>[number];

/** Automatic promotion of 10 %, as the promotions service returns it. */
export const promotionRecord = (overrides: Partial<Promotion> = {}): Promotion => ({
	id: uuid(),
	name: "Ten percent off",
	code: null,
	starts_at: null,
	ends_at: null,
	priority: 0,
	combinable: true,
	currency: "EUR",
	conditions: {},
	effect: { type: "percent_off", value: 10 },
	usage_limit: null,
	usage_limit_per_customer: null,
	budget: null,
	is_exhausted: false,
	...overrides,
});
