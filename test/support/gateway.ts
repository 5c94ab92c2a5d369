import type { ServiceSchema } from "moleculer";
import { v7 as uuid } from "uuid";
import type { Traced } from "../../lib/context/traceparent.ts";
import type { Meta } from "../../lib/contracts/contract.ts";
import { signAccessToken } from "../../lib/security/access-token.ts";
import type { Env } from "../../lib/settings/env.ts";
import { auth } from "../../services/auth/auth.contract.ts";
import { inventory } from "../../services/inventory/inventory.contract.ts";
import { orders } from "../../services/orders/orders.contract.ts";
import { products } from "../../services/products/products.contract.ts";
import { users } from "../../services/users/users.contract.ts";
import { orderRecord, productRecord, userRecord } from "./records.ts";
import { stub } from "./shop.ts";

/** Call that a stub received. */
export interface RecordedCall {
	readonly action: string;
	readonly params: unknown;
	readonly meta: Meta;
	readonly requestID: string | null;
	readonly headers: Traced;
}

const product = (name: string) => productRecord({ name, category: "books" });

/** Valid access token of a new or given user. */
export const token = (env: Env, role: "user" | "admin" = "user", sub: string = uuid()): string =>
	signAccessToken(
		{ sub, email: `${role}@example.com`, role, session: uuid(), version: 1 },
		env.JWT_SECRET!,
	);

/** Stub of auth in which no token is revoked. */
export const authStub = (): ServiceSchema =>
	stub(auth, { revocations: async () => ({ revocations: [], now: new Date().toISOString() }) });

/** Stub of inventory that accepts every stock record of a new product. */
export const inventoryStub = (): ServiceSchema =>
	stub(inventory, {
		open: async ({ params }) => ({ ...params, reserved: 0, available: params.on_hand }),
	});

/**
 * Stubs of the services behind the gateway. They return plausible results and append each call to
 * `calls`.
 */
export function stubbedServices(calls: RecordedCall[] = []): ServiceSchema[] {
	const record = (
		action: string,
		{ params, meta, requestID, headers }: Omit<RecordedCall, "action">,
	) => calls.push({ action, params, meta: { ...meta }, requestID, headers });
	const catalogue = ["First", "Second", "Third", "Fourth", "Fifth"].map(product);
	return [
		stub(products, {
			async create(ctx) {
				record("products.create", ctx);
				return product(ctx.params.name);
			},
			async list(ctx) {
				record("products.list", ctx);
				const { skip, limit } = ctx.params;
				return { rows: catalogue.slice(skip, skip + limit), total: catalogue.length };
			},
			async get(ctx) {
				record("products.get", ctx);
				return { ...product("One"), id: ctx.params.id, variants: [] };
			},
			async update(ctx) {
				record("products.update", ctx);
				return { ...product(ctx.params.name ?? "One"), id: ctx.params.id, variants: [] };
			},
			async remove(ctx) {
				record("products.remove", ctx);
				return null;
			},
		}),
		stub(users, {
			async me({ meta: { user } }) {
				const { id, email, role } = user!;
				return userRecord({ id, email, role, is_verified: false });
			},
		}),
		stub(orders, {
			async create(ctx) {
				record("orders.create", ctx);
				ctx.meta.$statusCode = 202;
				ctx.meta.$responseHeaders = {
					Location: "/api/orders/later",
					"Idempotent-Replayed": "true",
				};
				return orderRecord({ user_id: ctx.meta.user!.id });
			},
		}),
		authStub(),
	];
}
