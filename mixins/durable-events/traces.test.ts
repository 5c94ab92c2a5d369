import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { currentTraceparent, currentTraceparents } from "../../lib/context/traceparent.ts";
import type { Event } from "../../lib/contracts/event.ts";
import { recordedTraces } from "../../test/support/recorded-traces.ts";
import { eventTraces } from "./traces.ts";

const one = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const event = (traceparent?: string): Event =>
	({
		id: uuid(),
		type: "order.confirmed",
		subject: uuid(),
		time: new Date().toISOString(),
		...(traceparent ? { traceparent } : {}),
	}) as Event;

test("an event's spans continue from writing to sending to each attempt of handling", async () => {
	const traces = recordedTraces();
	const [sender, receiver] = [
		eventTraces(traces.of("orders"), "nats"),
		eventTraces(traces.of("notifications"), "nats"),
	];
	const found = [event(one), event(unsampled), event()];
	let carried: Event[] = [];
	await sender.sending(async (events) => {
		carried = events;
	})(found);
	const handled: (readonly string[])[] = [];
	const handle = async (events: Event[]) => {
		handled.push(currentTraceparents());
		expect(events.map(({ id }) => id)).toEqual(found.map(({ id }) => id));
		if (handled.length === 1) throw new Error("Not yet");
	};
	await expect(receiver.handling(carried, handle)).rejects.toThrow("Not yet");
	await receiver.handling(carried, handle);
	const [sent, failed, processed] = traces.spans;
	expect(traces.spans).toMatchObject([
		{ service: "orders", kind: "producer", name: "send order.confirmed", parent: one, ended: true },
		{
			service: "notifications",
			kind: "consumer",
			name: "process order.confirmed",
			parent: sent!.traceparent,
			failure: "Error",
			ended: true,
		},
		{
			service: "notifications",
			kind: "consumer",
			name: "process order.confirmed",
			parent: sent!.traceparent,
			ended: true,
		},
	]);
	expect(carried.map(({ traceparent }) => traceparent)).toEqual([
		sent!.traceparent,
		unsampled,
		undefined,
	]);
	expect(handled).toEqual([
		[failed!.traceparent, unsampled],
		[processed!.traceparent, unsampled],
	]);
	expect(processed!.attributes).toMatchObject({
		"messaging.message.id": found[0]!.id,
		"event.subject": found[0]!.subject,
	});
});

test("without tracing, events are unchanged and handled in their traces", async () => {
	const { sending, handling } = eventTraces(undefined, "process");
	const deliver = async () => undefined;
	expect(sending(deliver)).toBe(deliver);
	const found = [event(one)];
	await handling(found, async (events) => {
		expect([events, currentTraceparent()]).toEqual([found, one]);
	});
});
