import { EventEmitter } from "node:events";
import { expect, test } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import { countRestarts } from "./operations.restarts.ts";

const open = () => {
	const localBus = new EventEmitter();
	const restarts = countRestarts({ localBus } as unknown as ServiceBroker);
	return {
		localBus,
		restarts,
		connect: (id: string, reconnected = false) =>
			localBus.emit("$node.connected", { node: { id }, reconnected }),
		disconnect: (id: string) => localBus.emit("$node.disconnected", { node: { id } }),
	};
};

test("counts the ended processes of a node's name, whichever event comes first", () => {
	const { restarts, connect, disconnect } = open();
	connect("orders-web-1-mf0k1");
	expect(restarts.of("orders-web-1-mf0k1")).toBe(0);
	disconnect("orders-web-1-mf0k1");
	connect("orders-web-1-mf0k2");
	// A supervisor restarts the process before its failure is detected.
	connect("orders-web-1-mf0k3");
	disconnect("orders-web-1-mf0k2");
	expect(restarts.of("orders-web-1-mf0k3")).toBe(2);
	expect(restarts.of("orders-web-2-mf0k3")).toBe(0);
});

test("a node that was unreachable and returns has not restarted", () => {
	const { restarts, connect, disconnect } = open();
	connect("orders-web-mf0k1");
	disconnect("orders-web-mf0k1");
	connect("orders-web-mf0k1", true);
	connect("users-web-mf0k1", true);
	expect(restarts.of("orders-web-mf0k1")).toBe(0);
	expect(restarts.of("users-web-mf0k1")).toBe(0);
});

test("remembers the latest 1000 names", () => {
	const { restarts, disconnect } = open();
	for (let i = 0; i <= 1000; i++) disconnect(`orders-web${i}-mf0k1`);
	expect(restarts.of("orders-web0-mf0k2")).toBe(0);
	expect(restarts.of("orders-web1-mf0k2")).toBe(1);
	expect(restarts.of("orders-web1000-mf0k2")).toBe(1);
});

test("removes its listeners", () => {
	const { localBus, restarts, disconnect } = open();
	restarts.stop();
	disconnect("orders-web-mf0k1");
	expect(restarts.of("orders-web-mf0k2")).toBe(0);
	expect(localBus.eventNames()).toEqual([]);
});
