import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { Database } from "./database.ts";

const message = (type: string, body: string) => {
	const head = Buffer.alloc(5);
	head.write(type);
	head.writeInt32BE(4 + Buffer.byteLength(body), 1);
	return Buffer.concat([head, Buffer.from(body)]);
};
/** What Postgres says: a session is open; and it ends, because an administrator wants it (https://www.postgresql.org/docs/current/protocol-message-formats.html). */
const OPEN = Buffer.concat([message("R", "\0\0\0\0"), message("Z", "I")]);
const ENDED = message("E", "SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0");

let close: (() => Promise<unknown>) | undefined;
afterEach(() => close?.());

test("a server that ends a session in the moment in which it opened fails a query, and not the process", async () => {
	const sockets = new Set<Socket>();
	const server = createServer((socket) => {
		sockets.add(socket);
		socket.on("error", () => undefined);
		// In one piece, so that the client reads both before anybody else runs.
		socket.once("data", () => socket.end(Buffer.concat([OPEN, ENDED])));
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as { port: number };
	const db = new Database({ url: `postgres://somebody:secret@127.0.0.1:${port}/nothing`, poolSize: 2 });
	close = async () => {
		for (const socket of sockets) socket.destroy();
		server.close();
		await db.close();
	};
	await expect(db.query("select 1")).rejects.toThrow();
	await expect(db.query("select 1")).rejects.toThrow();
	expect(sockets.size).toBe(2);
});
