import type { Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { DataTypes, Op } from "sequelize";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { recordedTraces } from "../../test/support/recorded-traces.ts";
import { runInTrace } from "../context/traceparent.ts";
import { Database, databaseUrl } from "./database.ts";
import { connectionManagerOf, selectColumns } from "./sequelize-internals.ts";

let databases: Databases;
let db: Database;
const traces = recordedTraces();
beforeAll(async () => {
	databases = await makeDatabases(["shipping"]);
	db = new Database({
		url: databaseUrl(databases.pattern, "shipping"),
		poolSize: 2,
		tracer: traces.of("shipping"),
	});
	await db.query("create table prices (id int primary key, amount numeric, at timestamptz)");
	await db.query("insert into prices values (1, 9.90, '2026-01-01T00:00:00Z')");
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});

test("the connection manager has the members that Database uses", async () => {
	const { pool, oidParserMap, ...manager } = connectionManagerOf(db.sequelize);
	expect(Object.keys(manager)).not.toHaveLength(0);
	expect(pool).toMatchObject({
		using: expect.any(Number),
		available: expect.any(Number),
		waiting: expect.any(Number),
		maxSize: 2,
		acquireTimeoutMillis: expect.any(Number),
	});
	expect(oidParserMap).toBeInstanceOf(Map);
	const connection = await connectionManagerOf(db.sequelize).getConnection({ type: "write" });
	expect(db.poolUse.busy).toBe(1);
	connectionManagerOf(db.sequelize).releaseConnection(connection);
	expect(db.poolUse.busy).toBe(0);
});

test("the time limit of a silent connection applies to statements only", async () => {
	const manager = connectionManagerOf(db.sequelize);
	const connection = await manager.getConnection({ type: "write" });
	const { stream } = (connection as unknown as { connection: { stream: Socket } }).connection;
	expect(stream.timeout).toBe(60_000);
	stream.emit("timeout");
	expect((await connection.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
	const waiting = connection.query("select pg_sleep(60)");
	stream.emit("timeout");
	await expect(waiting).rejects.toMatchObject({ code: "ETIMEDOUT" });
	const { processID } = connection as unknown as { processID: number };
	await db.query("select pg_terminate_backend($1, 5000)", [processID]);
	manager.releaseConnection(connection);
});

test("models, statements and transactions read the same types and share the pool", async () => {
	const Price = db.sequelize.define(
		"price",
		{ id: { type: DataTypes.INTEGER, primaryKey: true }, amount: DataTypes.DECIMAL },
		{ tableName: "prices" },
	);
	const row = { id: 1, amount: 9.9 };
	const statement = "select id, amount from prices";
	expect(await db.query(statement)).toEqual([row]);
	expect((await Price.findByPk(1))!.get({ plain: true })).toEqual(row);
	const both = await db.transaction(async (tx) => [
		await tx.query(statement),
		await Price.count({ transaction: tx.handle }),
		db.poolUse.busy,
	]);
	expect(both).toEqual([[row], 1, 1]);
});

test("selects the IDs of a model's rows within its default scope", async () => {
	const Price = db.sequelize.define(
		"scopedPrice",
		{ id: { type: DataTypes.INTEGER, primaryKey: true }, amount: DataTypes.DECIMAL },
		{ tableName: "prices", defaultScope: { where: { id: { [Op.gt]: 0 } } } },
	);
	const statement = selectColumns(Price, ["id"], { amount: { [Op.in]: [9.9, 12] } });
	expect(statement).toMatch(/"id" > 0 AND .*IN \(9\.9, 12\)/);
	expect(await db.query(`select count(*)::int as total from (${statement}) rows`)).toEqual([
		{ total: 1 },
	]);
});

test("the statements of models and transactions have spans", async () => {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	await runInTrace(trace, () =>
		db.transaction(async ({ handle }) =>
			db.sequelize.models.price!.findByPk(1, { transaction: handle }),
		),
	);
	expect(traces.spans.map(({ name }) => name)).toEqual([
		"start transaction",
		"select price",
		"commit",
	]);
});
