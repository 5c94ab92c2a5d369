import { chmodSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { databaseUrl } from "../../lib/persistence/database.ts";
import { startEmbeddedPostgres } from "../../lib/persistence/embedded-postgres/embedded-postgres.ts";
import { createDatabases, migrate } from "../../lib/persistence/migrate.ts";
import { readCommandLine, wholeNumber } from "../../lib/process/command-line.ts";
import { type Program, runProgram } from "../../lib/process/lifecycle.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { migrationFolders } from "../../lib/settings/node.ts";
import { progressBar } from "../../scripts/progress-bar.ts";
import { findServer } from "../chaos/servers.ts";
import { type StormResult, storm } from "./run.ts";
import { ALL_GROUPS } from "./services.ts";

const root = join(import.meta.dirname, "../..");
const USAGE = `npm run events:storm -- [options]
  --events 10000   number of events to publish
  --seconds 30     duration of publishing
  --seed 7         repeats the kills of an earlier run; random by default
Kills a consumer every second. Kills NATS three times while events are published, once with the loss
of its files, and deletes its files once more when no event is in flight. Then starts another
consumer group. Every event must have taken effect exactly once in every group.
Requires nats-server; npm ci installs Postgres. Exits with code 1 after a violation.`;

const read = (program: Program) =>
	readCommandLine(program, {
		command: "npm run events:storm --",
		usage: USAGE,
		options: {
			events: { type: "string", default: "10000" },
			seconds: { type: "string", default: "30" },
			seed: { type: "string", default: String(Math.floor(Math.random() * 1e6)) },
		},
		convert: ({ events, seconds, seed }) => ({
			events: wholeNumber("events", events, 1),
			seconds: wholeNumber("seconds", seconds, 4),
			seed: wholeNumber("seed", seed, 0),
		}),
	});

function bar(
	events: number,
	{ written, effects, kills }: { written: number; effects: number; kills: number },
): string {
	const counts = `${written} published, ${effects} processed by every group, ${kills} kills`;
	return `${progressBar(effects / events)} ${counts}`;
}

function summary({
	violations,
	written,
	poison,
	kills,
	settledAfter,
	replayed,
}: StormResult): string {
	return [
		`Events    ${written}, ${poison} of them poison, in ${ALL_GROUPS.length} groups`,
		`Faults    ${kills} consumers killed; NATS killed four times, twice with the loss of its files`,
		`Settled   ${settledAfter.toFixed(1)} s after the last event`,
		`Replay    ${replayed} events published again`,
		...violations.slice(0, 50).map((line) => `VIOLATION ${line}`),
		violations.length === 0
			? "Every event took effect exactly once in every group"
			: `${violations.length} violations`,
	].join("\n");
}

/** Migrated databases on an embedded Postgres, which stops with the program. */
async function openDatabases(program: Program, folder: string) {
	const services = ["orders", ...ALL_GROUPS];
	// The kernel keeps the writes of killed processes, so fsync would only cost time.
	const postgres = await startEmbeddedPostgres({
		dataDir: join(folder, "postgres"),
		settings: { fsync: "off" },
	});
	program.onEnd(8000, () => postgres.stop());
	const address = `${postgres.host}:${postgres.port}`;
	const pattern = `postgres://{service}:storm@${address}/{service}`;
	await createDatabases(
		`postgres://${postgres.user}:${postgres.password}@${address}/postgres`,
		pattern,
		services,
	);
	await Promise.all(
		services.map((name) => migrate(databaseUrl(pattern, name), migrationFolders(root, name))),
	);
	const pools = new Map(
		services.map((name) => [
			name,
			new pg.Pool({ connectionString: databaseUrl(pattern, name), max: 2 }),
		]),
	);
	for (const pool of pools.values()) pool.on("error", () => undefined);
	program.onEnd(1000, () => Promise.all([...pools.values()].map((pool) => pool.end())));
	const query = async <Row extends pg.QueryResultRow>(
		service: string,
		text: string,
		values?: unknown[],
	): Promise<Row[]> => (await pools.get(service)!.query<Row>(text, values)).rows;
	return { pattern, query };
}

runProgram("events-storm", async (program) => {
	const options = await read(program);
	if (!findServer("nats-server"))
		throw new StartError("nats-server not found; on Debian: apt-get install nats-server");
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-storm-"));
	chmodSync(folder, 0o755);
	program.onEnd(5000, () => rm(folder, { recursive: true, force: true, maxRetries: 10 }));
	const databases = await program.step(openDatabases(program, folder));
	const live = process.stderr.isTTY;
	const { events, seconds, seed } = options;
	console.log(`${events} events in ${seconds} s, seed ${seed} …`);
	const onProgress = (now: Parameters<typeof bar>[1]) =>
		void (live && process.stderr.write(`\r\x1b[K${bar(events, now)}`));
	const result = await program.step(storm({ ...options, ...databases, folder, onProgress }));
	if (live) process.stderr.write("\r\x1b[K");
	const again = `npm run events:storm -- --events ${events} --seconds ${seconds} --seed ${seed}`;
	console.log(`${summary(result)}\nAgain     ${again}`);
	await program.stop(result.violations.length > 0 ? 1 : 0);
});
