import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { Database, databaseUrl } from "../persistence/database.ts";
import { streamRefill } from "./stream-refill.ts";
import type { ConsumerState } from "./stream-state.ts";

let databases: Databases;
let db: Database;
beforeAll(async () => {
	databases = await makeDatabases(["shipping"]);
	db = new Database({ url: databaseUrl(databases.pattern, "shipping"), poolSize: 2 });
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});
beforeEach(() => db.query("truncate stream_positions"));

const CONSUMER = "shipping-order-all";
const refillOf = (lost: readonly number[] = []) =>
	streamRefill({
		db,
		sourcesOf: () => [],
		read: async () => [],
		accept: async () => undefined,
		hasLostEvents: async (_, first, last) => lost.some((seq) => seq >= first && seq <= last),
		onProgress: () => undefined,
	});
const state = (fields: Partial<ConsumerState>): ConsumerState => ({
	consumer: CONSUMER,
	stream: "EVENTS 2026-01-01",
	first: 1,
	last: 100,
	acked: 100,
	unacknowledged: 0,
	...fields,
});

test("a consumer that has read all discarded messages is not refilled", async () => {
	const { track, progress } = refillOf();
	expect(await track(state({}))).toBe(false);
	expect(await track(state({ first: 101, last: 120, acked: 100, unacknowledged: 20 }))).toBe(false);
	expect(await progress([CONSUMER])).toEqual(new Map([[CONSUMER, 100]]));
});

test("a consumer is refilled after a stream that lost its end discards new messages", async () => {
	const { track, progress } = refillOf();
	expect(await track(state({}))).toBe(false);
	expect(await track(state({ last: 50, acked: 0, unacknowledged: 50 }))).toBe(false);
	expect(await progress([CONSUMER])).toEqual(new Map([[CONSUMER, 50]]));
	expect(await track(state({ first: 80, last: 120, acked: 0, unacknowledged: 41 }))).toBe(true);
});

test("a consumer is refilled after a stream that was created again discards messages", async () => {
	const { track } = refillOf();
	await track(state({}));
	const recreated = { stream: "EVENTS 2026-02-01", acked: 0 };
	expect(await track(state({ ...recreated, first: 1, unacknowledged: 100 }))).toBe(false);
	expect(await track(state({ ...recreated, first: 2, unacknowledged: 99 }))).toBe(true);
});

describe("after the database was restored to an earlier state", () => {
	const restore = () => db.query("update stream_positions set seq = 60");

	test("a new process refills a consumer that acknowledged events without a trace", async () => {
		await refillOf().track(state({}));
		await restore();
		const { track, progress } = refillOf([90]);
		expect(await track(state({}))).toBe(true);
		expect(await progress([CONSUMER])).toEqual(new Map([[CONSUMER, 100]]));
	});

	test("a running process refills it, also if later events have been processed", async () => {
		const { track } = refillOf([90]);
		await track(state({}));
		await restore();
		expect(await track(state({ last: 120, acked: 120 }))).toBe(true);
	});
});

test("a new process refills no consumer whose last progress was not stored", async () => {
	await refillOf().track(state({ last: 60, acked: 60 }));
	expect(await refillOf([60, 110]).track(state({}))).toBe(false);
});

test("a running process reads no events while progress increases", async () => {
	const { track } = refillOf([70]);
	await track(state({ last: 60, acked: 60 }));
	expect(await track(state({}))).toBe(false);
});
