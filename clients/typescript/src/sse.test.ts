import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { EventStreamParser, type Message } from "./sse.ts";

const parse = (...parts: string[]): Message[] => {
	const parser = new EventStreamParser("0");
	return parts.flatMap((part) => parser.push(new TextEncoder().encode(part)));
};

describe("an event stream", () => {
	test("has messages with ID, type and data", () => {
		expect(parse("id: 7\nevent: order.created\ndata: {}\n\n")).toEqual([
			{ id: "7", type: "order.created", data: "{}" },
		]);
	});

	// The examples of the specification.
	test.each<[string, string, Partial<Message>[]]>([
		["data of several lines", "data: a\ndata\ndata: c\n\n", [{ data: "a\n\nc" }]],
		["no space after the colon", "data:a\n\ndata: a\n\n", [{ data: "a" }, { data: "a" }]],
		["comments", ": hello\n\ndata: a\n:\n\n", [{ data: "a" }]],
		["a message without data", "event: x\nid: 3\n\ndata: a\n\n", [{ id: "3", type: "message" }]],
		["an unknown field", "other: x\ndata: a\n\n", [{ data: "a" }]],
		["an ID with NUL", "id: a\0b\ndata: a\n\n", [{ id: "0" }]],
		["CRLF and CR", "data: a\r\n\r\ndata: b\r\rdata: c\n\n", [{ data: "a" }, { data: "b" }, {}]],
		["a byte order mark", "\uFEFFdata: a\n\n", [{ data: "a" }]],
		["an incomplete message", "data: a\n\ndata: b\n", [{ data: "a" }]],
	])("may have %s", (_, text, messages) => {
		expect(parse(text)).toMatchObject(messages);
	});

	test("may request a pause before the next connection", () => {
		const parser = new EventStreamParser("");
		parser.push(new TextEncoder().encode("retry: 250\nretry: soon\n\n"));
		expect(parser.retry).toBe(250);
	});

	test("has the same messages however its bytes are divided", () => {
		const text = fc.array(
			fc.constantFrom("data: ü€😀\n", "\n", "\r\n", "\r", "id: 1", ":", "event: x\r\n", "data: {}"),
		);
		fc.assert(
			fc.property(text, fc.infiniteStream(fc.integer({ min: 1, max: 5 })), (lines, sizes) => {
				const bytes = new TextEncoder().encode(`${lines.join("")}\n\n`);
				const parser = new EventStreamParser("0");
				const messages: Message[] = [];
				for (let start = 0; start < bytes.length; ) {
					const end = start + sizes.next().value!;
					messages.push(...parser.push(bytes.subarray(start, end)));
					start = end;
				}
				expect(messages).toEqual(parse(`${lines.join("")}\n\n`));
			}),
		);
	});
});
