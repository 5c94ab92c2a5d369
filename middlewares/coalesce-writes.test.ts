import { expect, test } from "@jest/globals";
import { coalesceWrites } from "./coalesce-writes.ts";

type Send = (topic: string, data: Buffer, meta: object) => Promise<unknown>;
const { transporterSend } = coalesceWrites as unknown as { transporterSend(next: Send): Send };
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** The messages sent, with one entry per turn of the event loop. */
function transporter() {
	const writes: string[][] = [];
	let open: string[] | undefined;
	const send = transporterSend(async (topic, data) => {
		if (topic === "refused") throw new Error("No");
		if (!open) {
			open = [];
			writes.push(open);
			queueMicrotask(() => {
				open = undefined;
			});
		}
		open.push(`${topic} ${data}`);
	});
	return { writes, send: (topic: string, text: string) => send(topic, Buffer.from(text), {}) };
}

test("messages of one turn are sent together, in order, and each call is fulfilled", async () => {
	const { writes, send } = transporter();
	const sent = [send("a", "1")];
	await new Promise<void>((resolve) => process.nextTick(resolve));
	sent.push(send("b", "2"), send("a", "3"));
	expect(writes).toEqual([]);
	await Promise.all(sent);
	expect(writes).toEqual([["a 1", "b 2", "a 3"]]);
	await turn();
	await send("a", "4");
	expect(writes).toEqual([["a 1", "b 2", "a 3"], ["a 4"]]);
});

test("a message that cannot be sent fails alone", async () => {
	const { writes, send } = transporter();
	const results = await Promise.allSettled([send("a", "1"), send("refused", "2"), send("b", "3")]);
	expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
	expect(writes).toEqual([["a 1", "b 3"]]);
});
