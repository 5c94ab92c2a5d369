import { chmodSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startFloor } from "./floor-target.ts";
import type { Options } from "./options.ts";
import { type Postgres, startPostgres } from "./postgres.ts";
import { checkOut } from "./revision.ts";
import { SeedHistory, type SeedSize } from "./seed-history.ts";
import { type Shop, startShop } from "./shop.ts";
import { countSeedRows } from "./shop-seed-history.ts";
import type { Target } from "./target.ts";

const root = join(import.meta.dirname, "../..");

/** Temporary folder and Postgres servers of a benchmark run, on which targets are started. */
export interface BenchmarkEnvironment {
	readonly servers: readonly Postgres[];
	/** Starts a shop from this source tree or from a checkout of `revision`. */
	startShop(name: string, size: SeedSize, revision?: string): Promise<Shop>;
	startFloor(size: SeedSize): Promise<Target>;
}

type EnvironmentOptions = Pick<
	Options,
	"shape" | "postgres" | "scale" | "cpuProfile" | "slowest" | "env"
>;

/**
 * Creates the environment of a benchmark run. `close` may be called at any time, also before `open`
 * has returned: it stops all processes and removes the temporary folder.
 *
 * @param onProgress receives a line when a new phase starts
 */
export function createEnvironment(
	{ shape, postgres, scale, cpuProfile, slowest, env }: EnvironmentOptions,
	onProgress: (line: string) => void,
) {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-bench-"));
	chmodSync(folder, 0o755);
	const cleanups: (() => Promise<unknown>)[] = [
		() => rm(folder, { recursive: true, force: true, maxRetries: 10 }),
	];
	const onEnd = (stop: () => Promise<unknown>) => void cleanups.push(stop);
	const now = Date.now();
	let closing: Promise<void> | undefined;
	const close = async () => {
		for (let cleanup = cleanups.pop(); cleanup; cleanup = cleanups.pop())
			await cleanup().catch((error) => onProgress(`Clean-up failed: ${error}`));
	};

	return {
		close: () => {
			closing ??= close();
			return closing;
		},
		async open(): Promise<BenchmarkEnvironment> {
			onProgress("Starting Postgres …");
			const servers: Postgres[] = [];
			for (let n = 1; n <= postgres; n++) {
				const server = await startPostgres(folder, `postgres-${n}`, 1 / postgres, slowest);
				onEnd(() => server.stop());
				servers.push(server);
			}
			return {
				servers,
				async startShop(name, size, revision) {
					if (revision) onProgress(`Checking out ${revision} …`);
					const checkout = revision ? await checkOut(root, revision, folder, onEnd) : root;
					const history = new SeedHistory(size, now);
					const total = countSeedRows(history);
					let rows = 0;
					const onRows = (n: number) => {
						rows += n;
						onProgress(
							`Inserting seed history of ${name}: ` +
								`${Math.min(99, Math.floor((100 * rows) / total))} %`,
						);
					};
					onProgress(`Creating the databases of ${name} …`);
					return startShop({
						name,
						shape,
						checkout,
						folder,
						servers,
						history,
						profile: cpuProfile && resolve(cpuProfile),
						recordStalls: slowest,
						// Cache hits would hide the cost of large tables.
						caching: !scale,
						env,
						onRows,
						onEnd,
					});
				},
				startFloor(size) {
					onProgress("Starting the floor …");
					return startFloor({
						folder,
						server: servers[0]!,
						history: new SeedHistory(size, now),
						onEnd,
					});
				},
			};
		},
	};
}
