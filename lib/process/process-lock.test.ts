import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { LockedError, lockFile, type ProcessLock } from "./process-lock.ts";

let folder: string;
let path: string;
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "moleculer-commerce-lock-"));
	path = join(folder, "lock");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The lock of an ended process: this PID, with another start time. */
const staleLock = (token: string) =>
	JSON.stringify({ pid: process.pid, started: "another time", token });

test("a lock is exclusive until it is released, and leaves no other files", async () => {
	const lock = await lockFile(path);
	await expect(lockFile(path)).rejects.toEqual(new LockedError(process.pid));
	expect(await readdir(folder)).toEqual(["lock"]);
	await lock.release();
	expect(await readdir(folder)).toEqual([]);
});

test("of many concurrent attempts, exactly one replaces a stale lock", async () => {
	for (let round = 0; round < 20; round++) {
		await writeFile(path, staleLock(`${round}`));
		const attempts = await Promise.allSettled(Array.from({ length: 16 }, () => lockFile(path)));
		const locks: ProcessLock[] = [];
		for (const attempt of attempts) {
			if (attempt.status === "fulfilled") locks.push(attempt.value);
			else expect(attempt.reason).toEqual(new LockedError(process.pid));
		}
		expect(locks).toHaveLength(1);
		await locks[0]!.release();
		expect(await readdir(folder)).toEqual([]);
	}
});

test("a stale lock is replaced after a process has ended while it replaced it", async () => {
	const stale = staleLock("first");
	const id = createHash("sha256").update(stale).digest("hex").slice(0, 16);
	await writeFile(path, stale);
	await writeFile(`${path}.${id}`, staleLock("second"));
	await (await lockFile(path)).release();
	expect(await readdir(folder)).toEqual([]);
});
