import { expect, test } from "@jest/globals";
import { oneWrite } from "./one-write.ts";

type Send = (topic: string, data: Buffer, meta: object) => Promise<unknown>;
type Receive = (command: string, data: Buffer | undefined) => Promise<unknown>;
const { transporterSend, transporterReceive } = oneWrite as unknown as {
	transporterSend(next: Send): Send;
	transporterReceive(next: Receive): Receive;
};

/** One node's way out and another's way in: what left in each turn of the event loop, message by message, and what came out of it, packet by packet. */
function wire() {
	const turns: string[][] = [];
	const messages: Buffer[] = [];
	const received: string[] = [];
	let open: string[] | undefined;
	const receive = transporterReceive(async (_, data) => {
		received.push(String(data));
		if (String(data) === "broken") throw new Error("Nobody can read this");
	});
	const send = transporterSend(async (topic, data) => {
		if (topic === "refused") throw new Error("No");
		if (!open) {
			open = [];
			turns.push(open);
			queueMicrotask(() => {
				open = undefined;
			});
		}
		const before = received.length;
		messages.push(data);
		await receive(topic, data);
		open?.push(`${topic}: ${received.slice(before).map((text) => text.slice(0, 9))}`);
	});
	return { turns, messages, received, receive, send: (topic: string, text: string) => send(topic, Buffer.from(text), {}) };
}

test("what callbacks of one turn send leaves together, one message for each topic, and each is told when it has left", async () => {
	const { turns, received, send } = wire();
	const sent = [send("a", '{"n":1}')];
	await new Promise<void>((resolve) => process.nextTick(resolve));
	sent.push(send("b", '{"n":2}'), send("a", '{"n":"3 ü"}'), send("a", ""));
	expect(received).toEqual([]);
	await Promise.all(sent);
	expect(received).toEqual(['{"n":1}', '{"n":"3 ü"}', "", '{"n":2}']);
	await send("a", '{"n":4}');
	expect(received.slice(4)).toEqual(['{"n":4}']);
	expect(turns).toHaveLength(2);
});

test("a packet alone is a message as it is, and a message has no more than a quarter of a million bytes", async () => {
	const { messages, received, send } = wire();
	await send("a", '{"n":1}');
	expect(messages.map(String)).toEqual(['{"n":1}']);
	const large = ["1", "2", "3"].map((digit) => digit.repeat(100_000));
	await Promise.all([...large, "4".repeat(2_000_000), "5"].map((text) => send("a", text)));
	expect(messages.slice(1).map(({ length }) => Math.round(length / 1000))).toEqual([200, 100, 2000, 0]);
	expect(received.slice(1).map((text) => `${text[0]} ${text.length}`)).toEqual(["1 100000", "2 100000", "3 100000", "4 2000000", "5 1"]);
});

test("what cannot be sent fails by itself, with all that was to go to the same place", async () => {
	const { received, send } = wire();
	const results = await Promise.allSettled([send("a", "1"), send("refused", "2"), send("b", "3"), send("refused", "4")]);
	expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "rejected"]);
	expect(received).toEqual(["1", "3"]);
});

test("a packet that nobody can read holds up none of those beside it", async () => {
	const { received, send } = wire();
	await Promise.allSettled(["1", "broken", "3"].map((text) => send("a", text)));
	expect(received).toEqual(["1", "broken", "3"]);
});

test.each([
	["is cut off", Buffer.from([0, 0, 0, 0, 9, 49])],
	["is cut off in a length", Buffer.from([0, 0, 0])],
	["is none of ours", Buffer.from("what?")],
	["has nothing in it", undefined],
])("a message that %s is handed on as it is, to be refused as any other", async (_, data) => {
	const handed: unknown[] = [];
	await transporterReceive(async (command, data) => void handed.push(command, data))("REQ", data);
	expect(handed).toEqual(["REQ", data]);
});
