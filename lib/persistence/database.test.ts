import { execFile } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { promisify } from "node:util";
import {
	afterAll,
	afterEach,
	beforeAll,
	beforeEach,
	describe,
	expect,
	jest,
	test,
} from "@jest/globals";
import type { Client } from "pg";
import { toProblem } from "../../services/api/http/problem-details.ts";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { eventually } from "../../test/support/eventually.ts";
import { runInCall } from "../context/call-context.ts";
import { isOutage } from "../resilience/outages.ts";
import { Database, databaseUrl, sql } from "./database.ts";
import { connectionOf, limitSilence } from "./sequelize-internals.ts";

let databases: Databases;
let url: string;
beforeAll(async () => {
	databases = await makeDatabases(["shipping"]);
	url = databaseUrl(databases.pattern, "shipping");
});
afterAll(() => databases?.drop());

/** Number of connections with this application name. */
const connections = async (name: string) =>
	(
		await databases.query("shipping", "select from pg_stat_activity where application_name = $1", [
			name,
		])
	).length;

test("a pool limits its connections, queues requests, and closes all connections", async () => {
	const db = new Database({ url: `${url}?application_name=three`, poolSize: 3 });
	const { promise: go, resolve } = Promise.withResolvers<void>();
	const transactions = Array.from({ length: 3 }, () =>
		db.transaction(async (tx) => {
			await tx.query("select 1");
			await go;
		}),
	);
	await eventually(async () => expect(await connections("three")).toBe(3));
	let late = false;
	const waiting = db.query("select 1").then(() => (late = true));
	await databases.query("shipping", "select 1");
	expect([late, await connections("three")]).toEqual([false, 3]);
	resolve();
	await Promise.all([...transactions, waiting]);
	await db.close();
	await eventually(async () => expect(await connections("three")).toBe(0));
});

describe("a pool whose connections are all in use", () => {
	let db: Database;
	let release: () => void;
	let held: Promise<unknown>;
	beforeEach(async () => {
		db = new Database({ url, poolSize: 1 });
		const { promise, resolve } = Promise.withResolvers<void>();
		const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
		release = resolve;
		held = db.transaction(async () => {
			begin();
			await promise;
		});
		await begun;
	});
	afterEach(async () => {
		release();
		await held;
		await db.close();
	});
	const call = (milliseconds: number) => ({
		requestID: null,
		meta: {},
		deadline: performance.now() + milliseconds,
	});
	const kinds: Record<string, () => Promise<unknown>> = {
		query: () => db.query("select 1"),
		transaction: () => db.transaction(async () => undefined),
		"model statement": () => db.sequelize.query("select 1"),
	};

	test.each(Object.keys(kinds))("a %s waits no longer than its call allows", async (kind) => {
		// Queued first, and outside any call, so it keeps waiting.
		const queued = db.query("select 1 as one");
		const limited = runInCall(call(50), kinds[kind]!);
		const first = await Promise.race([queued, limited.catch((error: unknown) => ({ error }))]);
		const { error } = first as { error: unknown };
		expect(isOutage(error)).toBe(true);
		expect(toProblem(error)).toMatchObject({ status: 503, code: "SERVICE_UNAVAILABLE" });
		expect(db.poolUse).toMatchObject({ busy: 1, waiting: 1 });
		release();
		expect(await queued).toEqual([{ one: 1 }]);
	});

	test("an ended call does not wait, but still gets a free connection", async () => {
		const ended = call(-1);
		const refused = runInCall(ended, () => db.query("select 1"));
		expect(db.poolUse.waiting).toBe(0);
		await expect(refused).rejects.toThrow("The call ended before it got a database connection");
		release();
		await held;
		expect(await runInCall(ended, () => db.query("select 1 as one"))).toEqual([{ one: 1 }]);
	});

	test("rejects requests beyond the queue limit, and serves the others in order", async () => {
		const served: number[] = [];
		const refused: unknown[] = [];
		const requests = Array.from({ length: 130 }, (_, n) =>
			db.query("select 1").then(
				() => served.push(n),
				(error) => refused.push(error),
			),
		);
		await turn();
		expect(refused).toHaveLength(30);
		expect(db.poolUse.waiting).toBe(100);
		release();
		await Promise.all(requests);
		expect(refused.every(isOutage)).toBe(true);
		// On a busy machine, the last ones may have waited too long.
		expect(served).not.toHaveLength(0);
		expect(served).toEqual(Array.from(served, (_, n) => n));
	});
});

test("a failed transaction leaves no changes, and its connection is reused", async () => {
	const echoed: string[] = [];
	const db = new Database({ url, poolSize: 1, echo: (statement) => echoed.push(statement) });
	const failing = db.transaction(async (tx) => {
		await tx.query("create table half (id int)");
		throw new Error("on purpose");
	});
	await expect(failing).rejects.toThrow("on purpose");
	expect(await db.query("select to_regclass('half') as half")).toEqual([{ half: null }]);
	// Statements are echoed if configured.
	expect(echoed).toEqual(
		expect.arrayContaining(["create table half (id int)", expect.stringContaining("ROLLBACK")]),
	);
	await db.close();
});

const message = (type: string, body: string) => {
	const head = Buffer.alloc(5);
	head.write(type);
	head.writeInt32BE(4 + Buffer.byteLength(body), 1);
	return Buffer.concat([head, Buffer.from(body)]);
};
/**
 * Messages of Postgres: a session is open; an administrator terminates it
 * (https://www.postgresql.org/docs/current/protocol-message-formats.html).
 */
const OPEN = Buffer.concat([message("R", "\0\0\0\0"), message("Z", "I")]);
const ENDED = message(
	"E",
	"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0",
);

let close: (() => Promise<unknown>) | undefined;
afterEach(() => close?.());

test("a minor garbage collection frees the results that a caller has dropped", async () => {
	const program = join(import.meta.dirname, "test/heap-growth.ts");
	const { stdout } = await promisify(execFile)(process.execPath, [
		"--no-warnings",
		"--expose-gc",
		program,
		url,
	]);
	// All results together have 25 MB.
	expect(stdout).toMatch(/^-?\d/);
	expect(Number(stdout)).toBeLessThan(8);
});

test("small tables are read by index, and large estimates start no workers or JIT", async () => {
	const db = new Database({ url, poolSize: 1 });
	await db.query("create table pieces (id int primary key, name text not null)");
	await db.query("insert into pieces select n, 'piece ' || n from generate_series(1, 1000) n");
	await db.query("analyze pieces");
	const plan = async (statement: string) =>
		(await db.query<Record<string, string>>(`explain ${statement}`))
			.map((line) => line["QUERY PLAN"])
			.join("\n");
	const some = `select name from unnest(array[17, 4, 300, 800, 12, 77, 99, 512, 640, 900]) as w (id)
			join pieces using (id)`;
	expect(await plan(some)).toMatch(/Index Scan/);
	await db.query("insert into pieces select n, 'piece ' || n from generate_series(1001, 400000) n");
	await db.query("analyze pieces");
	expect(
		await plan("select count(*) from pieces a cross join pieces b where a.name < b.name"),
	).not.toMatch(/Gather|JIT/);
	await db.query("drop table pieces");
	await db.close();
});

test("a server that ends a session while it opens fails the query, not the process", async () => {
	const sockets = new Set<Socket>();
	const server = createServer((socket) => {
		sockets.add(socket);
		socket.on("error", () => undefined);
		// In one write, so that the client reads both before it handles the first.
		socket.once("data", () => socket.end(Buffer.concat([OPEN, ENDED])));
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as { port: number };
	const db = new Database({
		url: `postgres://user:secret@127.0.0.1:${port}/nothing`,
		poolSize: 2,
	});
	close = async () => {
		for (const socket of sockets) socket.destroy();
		server.close();
		await db.close();
	};
	await expect(db.query("select 1")).rejects.toThrow();
	await expect(db.query("select 1")).rejects.toThrow();
	expect(sockets.size).toBe(2);
});

/** Sequelize logs each transaction that it cannot roll back. */
const ignoreWarnings = () => jest.spyOn(console, "warn").mockImplementation(() => undefined);

/** A TCP proxy that can stop forwarding without closing a connection, like a vanished host. */
async function startProxy(target: URL) {
	const pairs: (readonly [Socket, Socket])[] = [];
	const server = createServer((socket) => {
		const upstream = connect(Number(target.port), target.hostname);
		pairs.push([socket, upstream]);
		for (const one of [socket, upstream]) one.on("error", () => undefined);
		socket.pipe(upstream).pipe(socket);
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
	const proxied = new URL(target);
	Object.assign(proxied, {
		hostname: "127.0.0.1",
		port: String((server.address() as AddressInfo).port),
	});
	return {
		url: proxied.href,
		/** Stops forwarding for the open connections. */
		freeze() {
			for (const [socket, upstream] of pairs) {
				socket.unpipe(upstream).pause();
				upstream.unpipe(socket).pause();
			}
		},
		close() {
			for (const socket of pairs.flat()) socket.destroy();
			server.close();
		},
	};
}

describe("on connections to a server that has vanished", () => {
	let proxy: Awaited<ReturnType<typeof startProxy>>;
	let db: Database;
	let connections: Client[];
	beforeEach(async () => {
		proxy = await startProxy(new URL(url));
		db = new Database({ url: proxy.url, poolSize: 3 });
		connections = [];
		// Opens all connections of the pool: each transaction waits for the others.
		const opened = Promise.withResolvers<void>();
		let missing = 3;
		await Promise.all(
			[1, 2, 3].map(() =>
				db.transaction(async (tx) => {
					await tx.query("select 1");
					connections.push(connectionOf(tx.handle));
					if (--missing === 0) opened.resolve();
					await opened.promise;
				}),
			),
		);
		expect(db.poolUse).toMatchObject({ idle: 3 });
	});
	afterEach(async () => {
		proxy.close();
		await db.close();
	});

	test("statements fail as an outage, and later ones get new connections", async () => {
		const warnings = ignoreWarnings();
		const outage = (work: Promise<unknown>) => work.then(() => false, isOutage);
		const others: Promise<boolean>[] = [];
		const transaction = db.transaction(async (tx) => {
			await tx.query("select 1");
			proxy.freeze();
			for (const connection of connections) limitSilence(connection, 1000);
			others.push(outage(db.query("select 1")), outage(db.sequelize.query("select 1")));
			await tx.query("select 1");
		});
		expect(await outage(transaction)).toBe(true);
		expect(await Promise.all(others)).toEqual([true, true]);
		expect(await db.query("select 1 as one")).toEqual([{ one: 1 }]);
		expect(db.poolUse).toMatchObject({ busy: 0 });
		warnings.mockRestore();
	});
});

test("a transaction that loses its connection between statements fails as an outage", async () => {
	const warnings = ignoreWarnings();
	const db = new Database({ url, poolSize: 1 });
	const lost = db.transaction(async (tx) => {
		const [row] = await tx.query<{ pid: number }>("select pg_backend_pid() as pid");
		const terminate = "select pg_terminate_backend($1, 5000)";
		await databases.query("shipping", terminate, [row!.pid]);
		await eventually(() => expect(db.poolUse.busy).toBe(0));
		await tx.query("select 1");
	});
	expect(isOutage(await lost.catch((error: unknown) => error))).toBe(true);
	await db.close();
	warnings.mockRestore();
});

test("statements have a time limit, which a transaction can replace for itself", async () => {
	const warnings = ignoreWarnings();
	const open = (options: { statementMs?: number } = {}) =>
		new Database({ url: `${url}?application_name=slow`, poolSize: 1, ...options });
	const endSessions = () =>
		databases.query(
			"shipping",
			"select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'slow'",
		);
	const [db, hasty] = [open(), open({ statementMs: 100 })];
	const endless = "select pg_sleep(600)";
	const works = [
		hasty.query(endless),
		db.transaction((tx) => {
			tx.limitStatements(100);
			return tx.query(endless);
		}),
	];
	const outages = works.map((work) => work.then(() => false, isOutage));
	expect(await Promise.all(outages)).toEqual([true, true]);
	await endSessions();
	await db.transaction(async (tx) => tx.limitStatements(100));
	expect(await db.query("select pg_sleep(0.5)::text as slept")).toEqual([{ slept: "" }]);
	await Promise.all([db.close(), hasty.close()]);
	await eventually(async () => expect(await connections("slow")).toBe(0));
	warnings.mockRestore();
});

describe("insertNew", () => {
	const ADD = sql("add_numbers", "insert into numbers select * from unnest($1::int[]) returning n");
	let db: Database;
	beforeAll(async () => {
		db = new Database({ url, poolSize: 2 });
		await db.query("create table numbers (n int primary key check (n < 100))");
	});
	afterAll(() => db?.close());
	const held = async () =>
		(await db.query<{ n: number }>("select n from numbers order by n")).map(({ n }) => n);

	test("inserts all rows, or none if one of them exists", async () => {
		expect(await db.insertNew(ADD, [[1, 2]])).toEqual([{ n: 1 }, { n: 2 }]);
		expect(await db.insertNew(ADD, [[3, 2]])).toBeUndefined();
		expect(await held()).toEqual([1, 2]);
	});

	test("throws all other errors", async () => {
		await expect(db.insertNew(ADD, [[4, 100]])).rejects.toMatchObject({ code: "23514" });
		expect(await held()).toEqual([1, 2]);
	});
});
