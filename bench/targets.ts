import { chmodSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startFloor } from "./floor-target.ts";
import type { Options } from "./options.ts";
import { SeedHistory, type SeedSize } from "./past.ts";
import { type Postgres, startPostgres } from "./postgres.ts";
import { checkOut } from "./revision.ts";
import { type Shop, startShop } from "./shop.ts";
import { countSeedRows } from "./shop-past.ts";
import type { Target } from "./target.ts";

export const root = join(import.meta.dirname, "..");

/** A folder and servers of the benchmark's own, and what runs on them. */
export interface BenchmarkEnvironment {
	readonly servers: readonly Postgres[];
	/** Starts a shop: what is here, or another revision's checkout, which then is its name. */
	startShop(name: string, size: SeedSize, revision?: string): Promise<Shop>;
	startFloor(size: SeedSize): Promise<Target>;
}

type EnvironmentOptions = Pick<Options, "shape" | "postgres" | "scale" | "cpuProfile" | "env">;

/**
 * A site that can be closed from the first moment on: everything is ended and nothing left behind, however far it has come.
 * @param say gets a line each time there is something new to wait for
 */
export function createEnvironment({ shape, postgres, scale, cpuProfile, env }: EnvironmentOptions, say: (line: string) => void) {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-bench-"));
	chmodSync(folder, 0o755);
	const ends: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true, maxRetries: 10 })];
	const onEnd = (stop: () => Promise<unknown>) => void ends.push(stop);
	const now = Date.now();
	let closing: Promise<void> | undefined;
	const close = async () => {
		for (let end = ends.pop(); end; end = ends.pop()) await end().catch((error) => say(`Could not be cleared away: ${error}`));
	};

	return {
		close: () => {
			closing ??= close();
			return closing;
		},
		async open(): Promise<BenchmarkEnvironment> {
			say("Starting Postgres …");
			const servers: Postgres[] = [];
			for (let n = 1; n <= postgres; n++) {
				const server = await startPostgres(folder, `postgres-${n}`, 1 / postgres);
				onEnd(() => server.stop());
				servers.push(server);
			}
			return {
				servers,
				async startShop(name, size, revision) {
					if (revision) say(`Checking out ${revision} …`);
					const checkout = revision ? await checkOut(root, revision, folder, onEnd) : root;
					const history = new SeedHistory(size, now);
					const all = countSeedRows(history);
					let rows = 0;
					const onRows = (n: number) => {
						rows += n;
						say(`Filling the tables of ${name}: ${Math.min(99, Math.floor((100 * rows) / all))} %`);
					};
					say(`Making the databases of ${name} …`);
					return startShop({
						name,
						shape,
						checkout,
						folder,
						servers,
						history,
						profile: cpuProfile && resolve(cpuProfile),
						// What caches give says nothing about tables.
						caching: !scale,
						env,
						onRows,
						onEnd,
					});
				},
				startFloor(size) {
					say("Starting the floor …");
					return startFloor({ folder, server: servers[0]!, history: new SeedHistory(size, now), onEnd });
				},
			};
		},
	};
}
