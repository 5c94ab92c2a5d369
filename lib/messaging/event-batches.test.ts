import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Event } from "../contracts/event.ts";
import { packEvents, unpackEvents } from "./event-batches.ts";

const event = (type: string, subject = uuid(), data: object = {}) =>
	({ id: uuid(), type, subject, data }) as unknown as Event;
const LARGE = 1_000_000;

test("events of a type form one message and are unpacked unchanged", () => {
	const found = [
		event("order.created"),
		event("order.confirmed"),
		event("order.created", uuid(), { name: "Zoë" }),
	];
	const messages = packEvents(found, LARGE);
	expect(messages.map(({ type }) => type)).toEqual(["order.created", "order.confirmed"]);
	expect(messages.map(({ text }) => unpackEvents(text))).toEqual([
		{ events: [found[0], found[2]], invalid: [] },
		{ events: [found[1]], invalid: [] },
	]);
	expect(packEvents([], LARGE)).toEqual([]);
});

test("messages are filled up to the limit, and a larger event is sent alone", () => {
	const found = Array.from({ length: 9 }, () =>
		event("order.created", uuid(), { name: "é".repeat(50) }),
	);
	const large = event("order.created", uuid(), { name: "é".repeat(1000) });
	const exactly = Buffer.byteLength(JSON.stringify(found.slice(0, 4)));
	const sizes = (max: number) =>
		packEvents([...found, large], max).map(({ text }) => unpackEvents(text).events.length);
	expect(sizes(exactly)).toEqual([4, 4, 1, 1]);
	expect(sizes(exactly - 1)).toEqual([3, 3, 3, 1]);
});

test("a message's ID depends on its events only", () => {
	const [one, two, three] = [event("a.b"), event("a.b"), event("a.b")];
	const id = (...events: Event[]) => packEvents(events, LARGE)[0]!.id;
	expect(id(one, two)).toBe(id(one, two));
	expect(
		id({ ...one, traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" }, two),
	).toBe(id(one, two));
	expect(new Set([id(one, two), id(one), id(one, two, three), id(one, three)]).size).toBe(4);
});

test("accepts a single event, and separates invalid elements", () => {
	const [one, two] = [event("order.created"), event("order.created")];
	expect(unpackEvents(JSON.stringify(one))).toEqual({ events: [one], invalid: [] });
	const strange = [
		null,
		7,
		"text",
		[one],
		{},
		{ ...one, id: "1" },
		{ ...one, id: undefined },
		{ ...one, type: 1 },
	];
	const { events, invalid } = unpackEvents(JSON.stringify([one, ...strange, two]));
	expect(events).toEqual([one, two]);
	expect(invalid.map(({ text }) => text)).toEqual(strange.map((value) => JSON.stringify(value)));
	expect(invalid[0]!.error.message).toBe("It has no type, or no UUID as its id");
	expect(unpackEvents("[]")).toEqual({ events: [], invalid: [] });
	expect(unpackEvents("[{").invalid).toMatchObject([
		{ text: "[{", error: { message: expect.stringContaining("JSON") } },
	]);
});
