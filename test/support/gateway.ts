import type { ServiceSchema } from "moleculer";
import { v7 as uuid } from "uuid";
import type { Traced } from "../../lib/context/traceparent.ts";
import type { Meta } from "../../lib/contracts/contract.ts";
import { signAccessToken } from "../../lib/security/access-token.ts";
import type { Env } from "../../lib/settings/env.ts";
import { auth } from "../../services/auth/auth.contract.ts";
import { orders } from "../../services/orders/orders.contract.ts";
import { products } from "../../services/products/products.contract.ts";
import { users } from "../../services/users/users.contract.ts";
import { stub } from "./shop.ts";

/** A call as a stub heard it. */
export interface RecordedCall {
	readonly action: string;
	readonly params: unknown;
	readonly meta: Meta;
	readonly requestID: string | null;
	readonly headers: Traced;
}

const product = (name: string) => ({
	id: uuid(),
	name,
	description: null,
	price: 19.99,
	currency: "EUR",
	category: "books",
	sku: null,
	created_at: new Date().toISOString(),
	updated_at: new Date().toISOString(),
});

/** An access token of somebody, good for this shop. */
export const token = (env: Env, role: "user" | "admin" = "user", sub: string = uuid()): string =>
	signAccessToken(
		{ sub, email: `${role}@example.com`, role, session: uuid(), version: 1 },
		env.JWT_SECRET!,
	);

/** Neighbours of the gateway that answer something fitting and write down what they were called with. */
export function neighbours(heard: RecordedCall[] = []): ServiceSchema[] {
	const hear = (
		action: string,
		{ params, meta, requestID, headers }: Omit<RecordedCall, "action">,
	) => heard.push({ action, params, meta: { ...meta }, requestID, headers });
	const catalogue = ["First", "Second", "Third", "Fourth", "Fifth"].map(product);
	return [
		stub(products, {
			async create(ctx) {
				hear("products.create", ctx);
				return product(ctx.params.name);
			},
			async list(ctx) {
				hear("products.list", ctx);
				const { skip, limit } = ctx.params;
				return { rows: catalogue.slice(skip, skip + limit), total: catalogue.length };
			},
			async get(ctx) {
				hear("products.get", ctx);
				return { ...product("One"), id: ctx.params.id };
			},
			async update(ctx) {
				hear("products.update", ctx);
				return { ...product(ctx.params.name ?? "One"), id: ctx.params.id };
			},
			async remove(ctx) {
				hear("products.remove", ctx);
				return null;
			},
		}),
		stub(users, {
			async me({ meta: { user } }) {
				const { id, email, role } = user!;
				const created_at = new Date().toISOString();
				return {
					id,
					email,
					role,
					full_name: "Somebody",
					is_active: true,
					is_verified: false,
					created_at,
					updated_at: created_at,
				};
			},
		}),
		stub(orders, {
			async create(ctx) {
				hear("orders.create", ctx);
				const time = new Date().toISOString();
				ctx.meta.$statusCode = 202;
				ctx.meta.$responseHeaders = {
					Location: "/api/orders/later",
					"Idempotent-Replayed": "true",
				};
				return {
					id: uuid(),
					user_id: ctx.meta.user!.id,
					status: "pending" as const,
					items: [],
					total_amount: 0,
					currency: "EUR",
					cancellation_reason: null,
					created_at: time,
					updated_at: time,
				};
			},
		}),
		stub(auth, { revocations: async () => ({ revocations: [], now: new Date().toISOString() }) }),
	];
}
