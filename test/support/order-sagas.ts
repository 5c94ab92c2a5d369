import { v7 as uuid } from "uuid";
import { Database, databaseUrl } from "../../lib/persistence/database.ts";
import type { OrderSaga } from "../../services/orders/saga/steps.ts";
import { createOrderStore } from "../../services/orders/saga/store.ts";
import { makeDatabases } from "./databases.ts";

/** Longer than any test, so that leases expire only by `elapse`. */
export const LEASE = 60_000;
const DEADLINE = 30_000;

function newSaga(): OrderSaga {
	const created_at = new Date().toISOString();
	const [id, product_id, user_id] = [uuid(), uuid(), uuid()];
	const line = { product_id, name: "Tea", quantity: 1, unit_price: 5, line_total: 5 };
	return {
		id,
		direction: "forward",
		attempt: 1,
		deadline: Date.parse(created_at) + DEADLINE,
		order: {
			id,
			user_id,
			email: null,
			status: "pending",
			items: [line],
			total_amount: 5,
			currency: "EUR",
			cancellation_reason: null,
			payment: null,
			created_at,
			updated_at: created_at,
		},
		payment_token: "tok_ok",
		shipping_address: null,
		priced: null,
		traceparent: `00-${id.replaceAll("-", "")}-00f067aa0ba902b7-01`,
	};
}

/** The saga stores of several nodes on a database of their own. */
export async function openSagaStores() {
	const databases = await makeDatabases(["orders"]);
	const db = new Database({ url: databaseUrl(databases.pattern, "orders"), poolSize: 6 });
	const limits = { claimBytes: Number.MAX_SAFE_INTEGER };
	const storeOf = (owner: string) =>
		createOrderStore({
			db,
			events: { eventData: (_, data) => JSON.stringify(data), wakeRelay() {} },
			owner,
			leaseMs: LEASE,
			deadlineMs: DEADLINE,
			claimBytes: () => limits.claimBytes,
		});
	return {
		db,
		limits,
		storeOf,
		async insertSagas(owner: string, count = 1): Promise<OrderSaga[]> {
			const sagas = Array.from({ length: count }, newSaga);
			await storeOf(owner).insert(sagas.map((saga) => ({ saga, keyed: undefined })));
			return sagas;
		},
		/** Shifts the timestamps in the database as if the time had elapsed. */
		async elapse(milliseconds: number): Promise<void> {
			const earlier = `- make_interval(secs => ${milliseconds / 1000})`;
			await db.query(`update orders set saga_since = saga_since ${earlier},
				saga_wake_at = saga_wake_at ${earlier}`);
			await db.query(`update saga_nodes set lease_until = lease_until ${earlier}`);
		},
		async clear(): Promise<void> {
			limits.claimBytes = Number.MAX_SAFE_INTEGER;
			for (const table of ["orders", "saga_nodes", "step_failures", "outbox"])
				await db.query(`delete from ${table}`);
		},
		async close(): Promise<void> {
			await db.close();
			await databases.drop();
		},
	};
}
export type SagaStores = Awaited<ReturnType<typeof openSagaStores>>;
