import type { Middleware } from "moleculer";
import { outsideCalls } from "../lib/log/current.ts";

type Send = (topic: string, data: Buffer, meta: object) => Promise<unknown>;

/**
 * What a turn of the event loop sends to other nodes leaves in one write. NATS' client writes after each callback: requests that were read from their
 * sockets together would each be a system call here, one at the server and one at the node that they are for.
 */
export const oneWrite = {
	name: "OneWrite",
	transporterSend(next: Send): Send {
		let waiting: (() => void)[] = [];
		const write = () => {
			const ready = waiting;
			waiting = [];
			for (const send of ready) send();
		};
		return (topic, data, meta) =>
			new Promise((resolve, reject) => {
				const first = waiting.length === 0;
				waiting.push(() => void next(topic, data, meta).then(resolve, reject));
				if (first) outsideCalls(() => setImmediate(write));
			});
	},
} as unknown as Middleware;
