import type { Logger } from "moleculer";
import type { Call, Ctx } from "../../lib/contracts/contract.ts";
import { contractError, throwError } from "../../lib/contracts/contract.ts";
import type { Event } from "../../lib/contracts/event.ts";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import {
	claimKey,
	errorResponse,
	keyedRequest,
	replayResponse,
	storeOrReplay,
} from "../../lib/idempotency/idempotency.ts";
import type { Database, Queryable, Tx } from "../../lib/persistence/database.ts";
import { isUuid, newId } from "../../lib/persistence/id.ts";
import type {} from "../payments/payments.contract.ts";
import type { refundedOrder } from "./orders.contract.shapes.ts";
import { orders } from "./orders.contract.ts";
import { findOrder } from "./orders.queries.ts";
import { planRefund, type Refund } from "./orders.refunds.rules.ts";
import * as statements from "./orders.refunds.statements.ts";

type RefundedOrder = Infer<typeof refundedOrder>;
type RefundParams = Infer<typeof orders.actions.refund.params>;
type OpenRefund = Pick<Refund, "id" | "amount" | "reason"> & { readonly order_id: string };

interface Dependencies {
	readonly db: Database;
	readonly call: Call;
	readonly logger: Logger;
}

/**
 * Refunds of lines. A refund is first recorded with its order locked, so that no piece is refunded
 * twice. Payments then refunds its amount once, by the ID of the refund. If the node dies or
 * payments does not respond, the poller of any node repeats the request.
 */
export function createRefunds({ db, call, logger }: Dependencies) {
	/**
	 * The action `orders.refund`.
	 * @throws the errors of the action's contract
	 */
	async function refund(ctx: Ctx<RefundParams>): Promise<RefundedOrder> {
		const { params, meta } = ctx;
		const request = keyedRequest(ctx);

		// 1. Record the refund. A repeated request continues with the refund of the first one.
		const { refund_id, earlier } = await db.transaction(async (tx) => {
			const refund_id = newId();
			const earlier = request && (await claimKey(tx, request, refund_id));
			if (!earlier) await record(tx, refund_id, params);
			return { refund_id: earlier?.subject ?? refund_id, earlier };
		});
		if (earlier && earlier.status !== null) return replayResponse(meta, earlier);

		// 2. Request it from payments.
		const open = await db.query<OpenRefund>(statements.FIND_REQUESTED, [refund_id]);
		const [outcome] = await settle(open).catch((error): Outcome[] => {
			logger.warn("A refund could not be requested; will retry", { refund_id, error });
			return [];
		});

		// 3. Respond.
		const { order, refunds } = (await findOrder(db, params.id))!;
		const isFailed = refunds.some(({ id, status }) => id === refund_id && status === "failed");
		const error = isFailed
			? contractError(orders, "NOT_REFUNDABLE", undefined, outcome?.detail)
			: undefined;
		const response = error ? errorResponse(error) : { status: 201, body: { ...order, refunds } };
		const other =
			request && (await storeOrReplay<RefundedOrder>(db, meta, { request, ...response }));
		if (other) return other;
		if (error) throw error;
		return { ...order, refunds };
	}

	/** Plans and records a refund, with the order locked. */
	async function record(tx: Tx, id: string, params: RefundParams): Promise<void> {
		const [order] = await tx.query<statements.LockedOrder>(statements.LOCK_ORDER, [params.id]);
		if (!order) throwError(orders, "ORDER_NOT_FOUND");
		if (order.saga_state !== null)
			throwError(orders, "ILLEGAL_TRANSITION", {}, "The order is being changed");
		const earlier = await tx.query<Refund>(statements.FIND_EFFECTIVE, [params.id]);
		const planned = planRefund(order, earlier, params);
		await tx.query(statements.RECORD, [
			id,
			params.id,
			JSON.stringify(planned.items),
			planned.shipping_amount,
			planned.amount,
			planned.tax_amount,
			params.reason ?? null,
		]);
	}

	/** Requests refunds from payments, and records and returns their outcomes. */
	async function settle(refunds: readonly OpenRefund[]): Promise<Outcome[]> {
		if (refunds.length === 0) return [];
		const outcomes = await call("payments.refundOrders", {
			orders: refunds.map(({ id, order_id, amount, reason }) => ({
				order_id,
				refund_id: id,
				amount,
				reason,
			})),
		});
		const withStatus = (status: "done" | "refused") =>
			refunds.filter((_, i) => outcomes[i]?.status === status).map(({ id }) => id);
		await db.query(statements.SETTLE, [withStatus("done"), withStatus("refused")]);
		return outcomes;
	}

	/**
	 * Requests refunds whose outcome is unknown.
	 * @returns whether more refunds may be due
	 */
	async function settleDue(): Promise<boolean> {
		const due = await db.query<OpenRefund>(statements.CLAIM_REQUESTED);
		await settle(due);
		return due.length === statements.CLAIM_LIMIT;
	}

	return { refund, settleDue };
}

/** Marks refunds that failed after payments had recorded them. Other refunds have other IDs. */
export async function failRefunds(
	tx: Queryable,
	events: readonly Event<"payment.refund_failed">[],
): Promise<void> {
	const ids = events.map(({ data }) => data.reference).filter(isUuid);
	await tx.query(statements.FAIL, [ids]);
}
