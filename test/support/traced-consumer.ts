import { expect } from "@jest/globals";
import type { Context, ServiceSchema } from "moleculer";
import { traceIdOf } from "../../lib/context/traceparent.ts";
import { type Call, contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import type {} from "../../services/orders/orders.contract.ts";
import { payments } from "../../services/payments/payments.contract.ts";
import { shipping } from "../../services/shipping/shipping.contract.ts";
import type { Databases } from "./databases.ts";
import { eventually } from "./eventually.ts";
import { stub } from "./shop.ts";

/** Trace context of an order's event: the trace id is the order's id. */
export const traceOf = (id: string): string => `00-${id.replaceAll("-", "")}-00f067aa0ba902b7-01`;

/**
 * Consumer group whose handler calls another service and publishes an event for each event that it
 * receives. For a batch with several traces it passes each event's own trace context. The first
 * attempt fails.
 */
export function tracedConsumer(): ServiceSchema[] {
	let failed = false;
	const group = contract({ name: "shipping", actions: eventActions, events: shipping.events });
	return [
		stub(payments, {
			history: async (ctx) => [
				{
					sequence: "1",
					type: "received",
					time: new Date().toISOString(),
					data: null,
					traceparent: (ctx as unknown as Context).headers.traceparent ?? null,
				},
			],
		}),
		defineService(group)({
			mixins: [database, durableEvents],
			actions: {},
			subscriptions: {
				async "order.created"(tx, events) {
					if (!failed) {
						failed = true;
						throw new Error("The first attempt fails");
					}
					const call = this.broker.call.bind(this.broker) as Call;
					for (const { subject, traceparent } of events) {
						const [entry] = await call("payments.history", { subject });
						const alone = events.length === 1;
						await this.publish(
							tx,
							"shipment.cancelled",
							subject,
							{ order_id: subject },
							alone ? undefined : traceparent,
						);
						const type = alone ? entry?.traceparent : traceparent;
						await tx.query("insert into effects (event) values ($1)", [
							`${subject} ${traceIdOf(type)}`,
						]);
					}
				},
			},
		}),
	];
}

/** Waits until the group has processed the orders and published an event in each one's trace. */
export const expectTraces = (databases: Databases, ids: readonly string[]): Promise<void> =>
	eventually(async () => {
		const published = await databases.query<{ subject: string; traceparent: string }>(
			"shipping",
			"select subject, traceparent from outbox",
		);
		const expected = ids.map((id) => `${id} ${id.replaceAll("-", "")}`).sort();
		expect(
			published.map(({ subject, traceparent }) => `${subject} ${traceIdOf(traceparent)}`).sort(),
		).toEqual(expected);
		const effects = await databases.query<{ event: string }>(
			"shipping",
			"select event from effects",
		);
		expect(effects.map(({ event }) => event).sort()).toEqual(expected);
	});
