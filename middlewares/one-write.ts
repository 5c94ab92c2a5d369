import type { Middleware } from "moleculer";
import { outsideCalls } from "../lib/log/current.ts";

type Send = (topic: string, data: Buffer, meta: object) => Promise<unknown>;
type Receive = (command: string, data: Buffer | undefined) => Promise<unknown>;
interface Packet {
	readonly topic: string;
	readonly data: Buffer;
	readonly meta: object;
	resolve(sent: unknown): void;
	reject(error: unknown): void;
}

/** How many bytes of packets travel in one message; NATS takes a million, unless told otherwise. */
const MOST = 256 * 1024;
/** What several packets in one message begin with, and no packet by itself. Then each of them stands behind its length, in so many bytes. */
const MARK = 0;
const LENGTH = 4;

/**
 * What a turn of the event loop sends to other nodes leaves in one write, and what it sends to one of them in one message. NATS' client writes after each
 * callback: requests that were read from their sockets together would each be a system call here, one at the server and one at the node that they are for.
 */
export const oneWrite = {
	name: "OneWrite",
	transporterSend(next: Send): Send {
		let waiting: Packet[] = [];
		const write = () => {
			const ready = waiting;
			waiting = [];
			for (const packets of together(ready)) void post(next, packets);
		};
		return (topic, data, meta) =>
			new Promise((resolve, reject) => {
				const first = waiting.length === 0;
				waiting.push({ topic, data, meta, resolve, reject });
				if (first) outsideCalls(() => setImmediate(write));
			});
	},
	transporterReceive(next: Receive): Receive {
		return async (command, data) => {
			const packets = split(data);
			return packets ? Promise.all(packets.map(async (packet) => next(command, packet))) : next(command, data);
		};
	},
} as unknown as Middleware;

/** Packets of one topic side by side, in their order, as many as a message may have. */
function together(packets: readonly Packet[]): Packet[][] {
	const messages: Packet[][] = [];
	const open = new Map<string, { packets: Packet[]; size: number }>();
	for (const packet of packets) {
		const begun = open.get(packet.topic);
		if (begun && begun.size + packet.data.length <= MOST) {
			begun.packets.push(packet);
			begun.size += packet.data.length;
			continue;
		}
		const message = { packets: [packet], size: packet.data.length };
		open.set(packet.topic, message);
		messages.push(message.packets);
	}
	return messages;
}

async function post(next: Send, packets: readonly Packet[]): Promise<void> {
	const [{ topic, meta, data }] = packets as [Packet];
	try {
		const sent = await next(topic, packets.length === 1 ? data : join(packets), meta);
		for (const { resolve } of packets) resolve(sent);
	} catch (error) {
		for (const { reject } of packets) reject(error);
	}
}

function join(packets: readonly Packet[]): Buffer {
	const parts = packets.flatMap(({ data }) => {
		const length = Buffer.allocUnsafe(LENGTH);
		length.writeUInt32BE(data.length);
		return [length, data];
	});
	return Buffer.concat([Buffer.of(MARK), ...parts]);
}

/** The packets of a message that holds several; undefined for any other. */
function split(data: Buffer | undefined): Buffer[] | undefined {
	if (data?.[0] !== MARK) return undefined;
	const packets: Buffer[] = [];
	for (let at = 1; at < data.length; ) {
		const begin = at + LENGTH;
		if (begin > data.length) return undefined;
		at = begin + data.readUInt32BE(at);
		packets.push(data.subarray(begin, at));
		if (at > data.length) return undefined;
	}
	return packets;
}
