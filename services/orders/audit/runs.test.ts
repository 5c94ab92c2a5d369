import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { Errors, type Logger } from "moleculer";
import { v7 as uuid } from "uuid";
import { Database, databaseUrl } from "../../../lib/persistence/database.ts";
import { firstIdAt } from "../../../lib/persistence/id.ts";
import { type Databases, makeDatabases } from "../../../test/support/databases.ts";
import type { createAudit } from "./audit.ts";
import { createAuditRuns } from "./runs.ts";

type Auditor = ReturnType<typeof createAudit>;
type Page = Awaited<ReturnType<Auditor["audit"]>>;
type Request = Parameters<Auditor["audit"]>[0];

let databases: Databases;
let db: Database;
beforeAll(async () => {
	databases = await makeDatabases(["orders"]);
	db = new Database({ url: databaseUrl(databases.pattern, "orders"), poolSize: 4 });
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});
beforeEach(() => db.query("delete from audits"));

const requested_by = uuid();
const position = (n: number) => `orders:${n}`;
const pageTo = (next: string | null, fields: Partial<Page> = {}): Page => ({
	total: null,
	checked: 10,
	skipped: 1,
	violations: [],
	next,
	...fields,
});
const violations = (count: number, first = 0) =>
	Array.from({ length: count }, (_, i) => ({
		invariant: "WRONG_PAYMENT",
		subject: `${first + i}`,
		detail: "missing",
	}));

/** The audits of a node whose pages a test determines. */
function node(audit: (request: Request) => Promise<Page>) {
	const warnings: unknown[] = [];
	const logger = { warn: (_: string, data: unknown) => warnings.push(data) };
	const counted: number[] = [];
	const runs = createAuditRuns({
		db,
		auditor: { audit } as Auditor,
		logger: logger as Partial<Logger> as Logger,
		countViolations: (count) => counted.push(count),
	});
	return { ...runs, warnings, counted };
}
/** A node that returns these pages in order, and records the requests. */
function nodeWith(...pages: Page[]) {
	const requests: Request[] = [];
	const remaining = [...pages];
	const created = node(async (request) => {
		requests.push(request);
		return remaining.shift()!;
	});
	return { ...created, requests };
}
/** A node that has claimed a page and does not finish it before `finish`. */
async function busyNode() {
	const page = Promise.withResolvers<Page>();
	const called = Promise.withResolvers<void>();
	const busy = node(() => {
		called.resolve();
		return page.promise;
	});
	const polled = busy.poll();
	await called.promise;
	return {
		finish(result: Page): Promise<boolean> {
			page.resolve(result);
			return polled;
		},
	};
}
const expireLease = () => db.query("update audits set lease_until = now()");

describe("an audit", () => {
	test("is advanced page by page until it is completed", async () => {
		const since = "2026-01-01T00:00:00.000Z";
		const { start, poll, get, requests, counted } = nodeWith(
			pageTo(position(1), { total: 20 }),
			pageTo(position(2), { violations: violations(2) }),
			pageTo(null),
		);
		const started = await start(requested_by, since);
		expect(started).toMatchObject({
			status: "running",
			since,
			total: null,
			checked: 0,
			requested_by,
			finished_at: null,
		});
		expect(await poll()).toBe(true);
		expect(await get(started.id)).toMatchObject({ status: "running", total: 20, checked: 10 });
		expect([await poll(), await poll(), await poll()]).toEqual([true, true, false]);
		expect(await get(started.id)).toMatchObject({
			status: "completed",
			total: 20,
			checked: 30,
			skipped: 3,
			violation_count: 2,
			finished_at: expect.any(String),
			violations: violations(2),
			failure: null,
		});
		expect(requests.map(({ after, since: from }) => [after, from])).toEqual([
			[undefined, since],
			[position(1), since],
			[position(2), since],
		]);
		expect(counted).toEqual([0, 2, 0]);
	});

	test("runs alone until it is finished", async () => {
		const { start, poll } = nodeWith(pageTo(null));
		const starts = await Promise.allSettled([start(requested_by), start(requested_by)]);
		const [started] = starts.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
		expect(starts).toContainEqual({
			status: "rejected",
			reason: expect.objectContaining({ type: "AUDIT_RUNNING", data: { audit_id: started!.id } }),
		});
		await poll();
		expect((await start(requested_by)).id).not.toBe(started!.id);
	});

	test("keeps the first 1,000 violations and counts all", async () => {
		const { start, poll, get } = nodeWith(
			pageTo(position(1), { violations: violations(999) }),
			pageTo(position(2), { violations: violations(500, 999) }),
			pageTo(null, { violations: violations(3, 1499) }),
		);
		const { id } = await start(requested_by);
		while (await poll());
		const { violation_count, violations: kept } = await get(id);
		expect(violation_count).toBe(1502);
		expect(kept).toEqual(violations(1000));
	});
});

describe("several nodes", () => {
	test("check a page once", async () => {
		const second = nodeWith();
		await second.start(requested_by);
		const first = await busyNode();
		expect(await second.poll()).toBe(false);
		expect(await first.finish(pageTo(null))).toBe(true);
		expect(second.requests).toEqual([]);
	});

	test("continue the audit of a dead node at its last saved page", async () => {
		const saved = nodeWith(pageTo(position(1), { total: 20, violations: violations(1) }));
		const { id } = await saved.start(requested_by);
		await saved.poll();
		const dead = await busyNode();
		const other = nodeWith(pageTo(null, { violations: violations(2, 1) }));
		expect(await other.poll()).toBe(false);
		await expireLease();
		expect(await other.poll()).toBe(true);
		expect(other.requests).toMatchObject([{ after: position(1) }]);

		// The result of a node that has lost its lease changes nothing.
		await dead.finish(pageTo(position(2), { violations: violations(5, 100) }));
		expect(await other.get(id)).toMatchObject({
			status: "completed",
			checked: 20,
			violation_count: 3,
			violations: violations(3),
		});
	});
});

describe("a page that cannot be checked", () => {
	const outage = () =>
		Promise.reject(new Errors.RequestTimeoutError({ action: "inventory.auditStock", nodeID: "x" }));
	const rowOf = async () =>
		(
			await db.query<{ delay: number; tries: number }>(
				`select tries, extract(epoch from lease_until - now())::float8 as delay from audits`,
			)
		)[0]!;

	test("is repeated later, after growing delays", async () => {
		const failing = node(outage);
		const { id } = await failing.start(requested_by);
		const delays: number[] = [];
		for (let i = 0; i < 10; i++) {
			expect(await failing.poll()).toBe(false);
			delays.push((await rowOf()).delay);
			await expireLease();
		}
		expect(delays[0]).toBeLessThanOrEqual(2);
		expect(Math.max(...delays)).toBeGreaterThan(25);
		expect(Math.max(...delays)).toBeLessThanOrEqual(60);
		expect(failing.warnings[0]).toMatchObject({ audit_id: id });

		await nodeWith(pageTo(position(1))).poll();
		expect(await rowOf()).toMatchObject({ tries: 0 });
	});

	test.each([
		["an outage", outage, "did not respond"],
		["an unexpected error", () => Promise.reject(new Error("secret")), "unexpected error"],
	])("fails the audit after many attempts with %s", async (_case, audit, failure) => {
		const failing = node(audit);
		const { id } = await failing.start(requested_by);
		for (let i = 0; i < 30; i++) {
			expect((await failing.get(id)).status).toBe("running");
			await failing.poll();
			await expireLease();
		}
		expect(await failing.get(id)).toMatchObject({
			status: "failed",
			finished_at: expect.any(String),
			failure: expect.stringContaining(failure),
		});
		expect(await failing.start(requested_by)).toMatchObject({ status: "running" });
	});

	test("fails the audit if it ends the process of each node", async () => {
		const { id } = await nodeWith().start(requested_by);
		await db.query("update audits set tries = 30");
		const last = nodeWith();
		expect(await last.poll()).toBe(false);
		expect(last.requests).toEqual([]);
		expect(await last.get(id)).toMatchObject({ status: "failed" });
	});
});

test("lists audits, newest first", async () => {
	const { start, poll, list, get } = nodeWith(pageTo(null), pageTo(null));
	const ids: string[] = [];
	for (let i = 0; i < 3; i++) {
		ids.unshift((await start(requested_by)).id);
		await poll();
	}
	const { rows, total } = await list({ skip: 0, limit: 2 });
	expect({ total, ids: rows.map(({ id }) => id) }).toEqual({ total: 3, ids: ids.slice(0, 2) });
	expect((await list({ skip: 2, limit: 2 })).rows).toMatchObject([{ id: ids[2] }]);
	await expect(get(uuid())).rejects.toMatchObject({ type: "AUDIT_NOT_FOUND" });
});

test("deletes finished audits after 90 days, with their violations", async () => {
	const ids: string[] = [];
	for (const [days, status] of [
		[91, "completed"],
		[91, "running"],
		[89, "failed"],
	] as const) {
		const id = firstIdAt(new Date(Date.now() - days * 86_400_000)).slice(0, 19) + uuid().slice(19);
		ids.push(id);
		await db.query("insert into audits (id, status, requested_by) values ($1, $2, $3)", [
			...[id, status, requested_by],
		]);
		await db.query("insert into audit_violations values ($1, 1, 'WRONG_PAYMENT', 'x', 'y')", [id]);
	}
	const { prune, get } = nodeWith();
	expect(await prune()).toBe(false);
	await expect(get(ids[0]!)).rejects.toMatchObject({ type: "AUDIT_NOT_FOUND" });
	for (const id of ids.slice(1)) expect((await get(id)).violations).toHaveLength(1);
	expect(await db.query("select from audit_violations")).toHaveLength(2);
});
