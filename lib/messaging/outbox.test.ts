import { expect, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { eventStatistics } from "./dead-letters.ts";
import { insertEvents, pruneOutbox } from "./outbox.ts";
import {
	listCheckpoints,
	oldestEventTime,
	removeCheckpoint,
	removeObsoleteCheckpoints,
} from "./outbox-checkpoints.ts";
import { outboxDatabase, write } from "./test/outbox-database.ts";

const outbox = outboxDatabase();

test("pruning keeps unpublished events of any age and deletes other old ones", async () => {
	await write(outbox.db, "old");
	const slow = outbox.startTestRelay({
		name: "slow",
		deliver: async ([event]) => {
			if (event!.subject !== "old") throw new Error("Not yet");
		},
	});
	const fast = outbox.startTestRelay({ name: "fast" });
	await eventually(() => expect([slow.published, fast.published]).toEqual([["old"], ["old"]]));
	await write(outbox.db, "unread");
	fast.relay.wake();
	slow.relay.wake();
	await eventually(() => expect(fast.published).toContain("unread"));
	await eventually(() => expect(outbox.failures).not.toHaveLength(0));
	await outbox.db.query("update outbox set time = time - interval '2 hours'");
	await write(outbox.db, "young");
	fast.relay.wake();
	await eventually(() => expect(fast.published).toContain("young"));
	expect(await pruneOutbox(outbox.db, 3)).toBe(false);
	expect(await outbox.retained()).toEqual(["old", "unread", "young"]);
	expect(await pruneOutbox(outbox.db, 1.5)).toBe(false);
	expect(await outbox.retained()).toEqual(["unread", "young"]);
});

test("a checkpoint advances past events of other types, so that they can be pruned", async () => {
	const { published } = outbox.startTestRelay({ types: ["user.created"], lease: 0.2 });
	await outbox.writeMany(1200, "other");
	await eventually(() => expect(pruneOutbox(outbox.db, -1)).resolves.toBe(true));
	await insertEvents(outbox.db, "user.created", "wanted", "{}");
	await write(outbox.db, "unwanted");
	await eventually(() => expect(published).toEqual(["wanted"]));
	expect(outbox.failures).toEqual([]);
});

test("an old checkpoint keeps its events and statistics until it is removed", async () => {
	await write(outbox.db, "1");
	const before = outbox.startTestRelay();
	await eventually(() => expect(before.published).toEqual(["1"]));
	await before.relay.stop();
	await write(outbox.db, "2");
	await outbox.db.query("update outbox set time = time - interval '2 hours'");
	await write(outbox.db, "3");
	await outbox.db.query("update outbox_readers set lease_until = now() - interval '30 days'");
	await pruneOutbox(outbox.db, 1);
	expect(await outbox.retained()).toEqual(["2", "3"]);
	const figures = await eventStatistics(outbox.db);
	expect(figures.backlog).toBe(2);
	expect(figures.lag_seconds).toBeGreaterThan(7000);
	expect(await listCheckpoints(outbox.db)).toEqual([
		{
			name: "group",
			owner: null,
			lease_until: expect.any(String),
			lag_seconds: expect.any(Number),
		},
	]);
	const after = outbox.startTestRelay({ lease: 3600 });
	after.relay.wake();
	await eventually(() => expect(after.published).toEqual(["2", "3"]));
	expect(await removeCheckpoint(outbox.db, "group")).toBe(0);
	await after.relay.stop();
	await write(outbox.db, "4");
	await outbox.db.query("update outbox set time = time - interval '2 hours'");
	await pruneOutbox(outbox.db, 1);
	expect(await outbox.retained()).toEqual(["4"]);
	expect(await removeCheckpoint(outbox.db, "group")).toBe(1);
	await pruneOutbox(outbox.db, 1);
	expect(await outbox.retained()).toEqual([]);
});

test("checkpoints of the other transport are removed unless a node uses them", async () => {
	const add = `insert into outbox_readers (name, owner, lease_until) select unnest($1::text[]), $2,
			now() + make_interval(secs => $3)`;
	const names = async () => (await listCheckpoints(outbox.db)).map(({ name }) => name);
	await outbox.db.query(add, [["notifications", "shipping", "stream"], null, -10]);
	await outbox.db.query(add, [["payments"], "a node", 60]);
	expect((await removeObsoleteCheckpoints(outbox.db, true)).sort()).toEqual([
		"notifications",
		"shipping",
	]);
	expect(await names()).toEqual(["payments", "stream"]);
	expect(await removeObsoleteCheckpoints(outbox.db, false)).toEqual(["stream"]);
	expect(await names()).toEqual(["payments"]);
});

test("returns the time of the oldest retained event", async () => {
	expect(await oldestEventTime(outbox.db)).toBeNull();
	for (const subject of ["1", "2"]) await write(outbox.db, subject);
	await outbox.db.query("update outbox set time = '2026-01-01T00:00:00Z' where subject = '1'");
	expect(await oldestEventTime(outbox.db)).toBe("2026-01-01T00:00:00.000Z");
});

test("pruning deletes in batches, also without checkpoints", async () => {
	await outbox.writeMany(1500, "");
	await outbox.db.query("update outbox set time = time - interval '2 hours'");
	expect(await pruneOutbox(outbox.db, 1)).toBe(true);
	expect(await pruneOutbox(outbox.db, 1)).toBe(false);
	expect(await outbox.db.query("select from outbox")).toEqual([]);
});
