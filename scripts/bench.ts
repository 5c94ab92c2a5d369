import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { load } from "../bench/load.ts";
import { tree } from "../bench/processes.ts";
import { floorScenarios, scenarios, seed, type World } from "../bench/scenarios.ts";
import { type Postgres, startFloor, startPostgres, startShop, type Target } from "../bench/targets.ts";

const { values: options } = parseArgs({
	options: {
		scenarios: { type: "string", default: "product,list,order,order-hot" },
		concurrency: { type: "string", default: "1,16,64" },
		seconds: { type: "string", default: "5" },
		warmup: { type: "string", default: "2" },
		rounds: { type: "string", default: "1" },
		rate: { type: "string" },
		products: { type: "string", default: "1000" },
		users: { type: "string", default: "50" },
		profile: { type: "boolean", default: false },
		"cpu-profile": { type: "string" },
		json: { type: "string" },
		"no-floor": { type: "boolean", default: false },
		help: { type: "boolean", short: "h", default: false },
	},
});
if (options.help) {
	console.log(`npm run bench -- [options]
  --scenarios a,b     ${Object.keys(scenarios).join(", ")}
  --concurrency 1,16  buyers at once
  --seconds 5         measured, after --warmup 2
  --rounds 1          each figure is the median of the rounds
  --rate 500          open loop: so many operations per second on schedule
  --products 1000  --users 50
  --no-floor          without the floor server beside
  --profile           the statements that took longest, after each measurement
  --cpu-profile DIR   the shop leaves its CPU profile there as it ends
  --json FILE         results as JSON`);
	process.exit(0);
}

interface Row {
	target: string;
	scenario: string;
	concurrency: number;
	rate: number;
	p50: number;
	p95: number;
	p99: number;
	nodeMs: number;
	postgresMs: number;
	commits: number;
	statements: number;
	rssMb: number;
	errors: Record<string, number>;
}

const total = (all: { cpuMs: number; rssMb: number }[]) => ({
	cpuMs: all.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
	rssMb: all.reduce((sum, { rssMb }) => sum + rssMb, 0),
});
interface Counts {
	readonly commits: number;
	readonly statements: number;
}
/** What the whole Postgres has done since `reset`. */
async function counts(postgres: Postgres, reset: boolean): Promise<Counts> {
	const client = await postgres.client("postgres");
	const { rows } = await client.query<Record<keyof Counts, string>>(
		"select (select sum(xact_commit) from pg_stat_database) as commits, (select sum(calls) from pg_stat_statements) as statements",
	);
	if (reset) await client.query("select pg_stat_statements_reset()");
	await client.end();
	return { commits: Number(rows[0]!.commits), statements: reset ? 0 : Number(rows[0]!.statements) };
}
async function printStatements(postgres: Postgres): Promise<void> {
	const client = await postgres.client("postgres");
	const { rows } =
		await client.query(`select d.datname, s.calls, round(s.total_exec_time) as ms, round((s.mean_exec_time * 1000)::numeric) as us, s.rows,
		left(regexp_replace(s.query, '\\s+', ' ', 'g'), 90) as query from pg_stat_statements s join pg_database d on d.oid = s.dbid order by s.total_exec_time desc limit 20`);
	await client.end();
	console.table(rows);
}

async function measure(target: Target, world: World, postgres: Postgres, scenario: string, concurrency: number): Promise<Row> {
	const look = () => ({ node: total(Object.values(target.pids).map(tree)), postgres: tree(postgres.pid) });
	let before = look();
	let after = before;
	const counted = await counts(postgres, true);
	const result = await load({
		url: target.url,
		operation: scenarios[scenario]!(world),
		concurrency,
		seconds: Number(options.seconds),
		warmup: Number(options.warmup),
		...(options.rate ? { rate: Number(options.rate) } : {}),
		onStart: () => {
			before = look();
		},
		onEnd: () => {
			after = look();
		},
	});
	const share = Number(options.seconds) / (Number(options.seconds) + Number(options.warmup));
	const now = await counts(postgres, false);
	if (options.profile) await printStatements(postgres);
	const errors = Object.fromEntries(Object.entries(result.statuses).filter(([status]) => !/^2/.test(status)));
	return {
		target: target.name,
		scenario,
		concurrency,
		rate: result.operations / result.seconds,
		p50: result.p50,
		p95: result.p95,
		p99: result.p99,
		nodeMs: (after.node.cpuMs - before.node.cpuMs) / result.operations,
		postgresMs: (after.postgres.cpuMs - before.postgres.cpuMs) / result.operations,
		commits: ((now.commits - counted.commits) * share) / result.operations,
		statements: ((now.statements - counted.statements) * share) / result.operations,
		rssMb: after.node.rssMb,
		errors,
	};
}

const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[numbers.length >> 1]!;
const fixed = (n: number, width: number, digits = 2) => n.toFixed(digits).padStart(width);
function print(row: Row): void {
	const bad = Object.entries(row.errors).map(([status, n]) => `${n}x ${status}`);
	console.log(
		`${row.target.padEnd(9)}${row.scenario.padEnd(12)}${String(row.concurrency).padStart(4)} ${fixed(row.rate, 9, 0)}/s` +
			` p50${fixed(row.p50, 7)} p95${fixed(row.p95, 7)} p99${fixed(row.p99, 7)} ms  CPU ${fixed(row.nodeMs + row.postgresMs, 6, 3)} ms` +
			` (node ${row.nodeMs.toFixed(3)}, postgres ${row.postgresMs.toFixed(3)})  SQL ${row.statements.toFixed(2)} commits ${row.commits.toFixed(2)}  ${fixed(row.rssMb, 5, 0)} MB ${bad.join(", ")}`,
	);
}

const postgres = await startPostgres();
const stops: (() => Promise<void>)[] = [() => postgres.stop()];
try {
	const shop = await startShop(postgres, "shop", options["cpu-profile"]);
	stops.unshift(() => shop.stop());
	console.log("Seeding …");
	const worlds: [Target, World][] = [[shop, await seed(shop, Number(options.products), Number(options.users))]];
	if (!options["no-floor"]) {
		const floor = await startFloor(postgres);
		stops.unshift(() => floor.stop());
		worlds.push([floor, { products: floor.products, tokens: [""], accounts: [] }]);
	}
	const results: Row[] = [];
	for (const scenario of options.scenarios.split(",")) {
		for (const concurrency of options.concurrency.split(",").map(Number)) {
			const rows = new Map<Target, Row[]>();
			for (let round = 0; round < Number(options.rounds); round++) {
				for (const [target, world] of worlds) {
					if (target.name === "floor" && !floorScenarios.includes(scenario)) continue;
					rows.set(target, [...(rows.get(target) ?? []), await measure(target, world, postgres, scenario, concurrency)]);
				}
			}
			for (const all of rows.values()) {
				const middle = { ...all[0]! };
				for (const key of ["rate", "p50", "p95", "p99", "nodeMs", "postgresMs", "commits", "statements", "rssMb"] as const)
					middle[key] = median(all.map((row) => row[key]));
				results.push(middle);
				print(middle);
			}
		}
	}
	if (options.json) writeFileSync(options.json, JSON.stringify(results, null, "\t"));
} finally {
	for (const stop of stops) await stop();
}
