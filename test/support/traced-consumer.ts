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

/** An order of these tests, told of in a trace whose id is its own. */
export const traceOf = (id: string): string => `00-${id.replaceAll("-", "")}-00f067aa0ba902b7-01`;

/**
 * A group whose handler publishes a fact about each event that it is given, and asks another service; where it is given events of several traces, it says
 * which is whose. The first try fails.
 */
export function tracedConsumer(): ServiceSchema[] {
	let failed = false;
	const group = contract({ name: "shipping", actions: eventActions, events: shipping.events });
	return [
		stub(payments, {
			history: async (ctx) => [
				{
					sequence: "1",
					type: "heard",
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
				async "order.created"(tx, found) {
					if (!failed) {
						failed = true;
						throw new Error("Not this time");
					}
					const call = this.broker.call.bind(this.broker) as Call;
					for (const { subject, traceparent } of found) {
						const [heard] = await call("payments.history", { subject });
						const alone = found.length === 1;
						await this.publish(
							tx,
							"shipment.cancelled",
							subject,
							{ order_id: subject },
							alone ? undefined : traceparent,
						);
						const type = alone ? heard?.traceparent : traceparent;
						await tx.query("insert into effects (event) values ($1)", [
							`${subject} ${traceIdOf(type)}`,
						]);
					}
				},
			},
		}),
	];
}

/** Waits until the group has heard of these orders, each in its own trace, and has told of it in that trace. */
export const expectTraces = (databases: Databases, ids: readonly string[]): Promise<void> =>
	eventually(async () => {
		const told = await databases.query<{ subject: string; traceparent: string }>(
			"shipping",
			"select subject, traceparent from outbox",
		);
		const expected = ids.map((id) => `${id} ${id.replaceAll("-", "")}`).sort();
		expect(
			told.map(({ subject, traceparent }) => `${subject} ${traceIdOf(traceparent)}`).sort(),
		).toEqual(expected);
		const effects = await databases.query<{ event: string }>(
			"shipping",
			"select event from effects",
		);
		expect(effects.map(({ event }) => event).sort()).toEqual(expected);
	});
