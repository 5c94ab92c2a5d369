import { parseCommandLine, type Values } from "../../lib/process/command-line.ts";
import { scaleScenarios } from "./scale.ts";
import { scenarios } from "./scenarios.ts";
import type { Shape } from "./shop.ts";

const OPTIONS = {
	shape: { type: "string", default: "embedded" },
	scenarios: { type: "string" },
	buyers: { type: "string" },
	rate: { type: "string" },
	seconds: { type: "string", default: "5" },
	warmup: { type: "string", default: "2" },
	rounds: { type: "string" },
	products: { type: "string" },
	users: { type: "string" },
	orders: { type: "string" },
	postgres: { type: "string", default: "1" },
	vs: { type: "string" },
	base: { type: "string" },
	"no-floor": { type: "boolean", default: false },
	"login-noise": { type: "boolean", default: false },
	scale: { type: "boolean", default: false },
	minutes: { type: "string" },
	import: { type: "string" },
	json: { type: "string" },
	page: { type: "string" },
	profile: { type: "boolean", default: false },
	slowest: { type: "boolean", default: false },
	"cpu-profile": { type: "string" },
	env: { type: "string", multiple: true },
} as const;

const DEFAULT_SCENARIOS = [
	"product",
	"list",
	"search",
	"login",
	"order",
	"order-hot",
	"order-multi",
	"mixed",
];
const LOGIN_NOISE_SCENARIOS = ["product", "product-during-logins"];
const SCALE_SCENARIOS = Object.keys(scaleScenarios);

export const USAGE = `npm run bench -- [options]
Targets
  --shape embedded        or cluster: one process per service, with operations in the
                          gateway's; NATS and Redis
  --vs REV                also measure another revision, alternately: A B A B
  --postgres 2            Postgres servers that share the service databases (cluster)
  --products 1000 --users 200 --orders 20000    rows of the seed history
  --env NAME=VALUE        environment variable of the shop; may be repeated
  --no-floor              do not measure the floor (a minimal server for comparison)
Load
  --scenarios a,b         ${Object.entries(scenarios)
		.map(([name, { description }]) => `${name}: ${description}`)
		.join("\n                          ")}
  --buyers 1,16,64        concurrent buyers
  --rate 100,500          open loop: scheduled operations per second, independent of responses
  --seconds 5 --warmup 2  duration of each measurement and of the load before it
  --rounds 1              each figure is the median of the rounds, and each ratio that of their
                          ratios, except for CPU time: the ratio of the means; 3 with --vs or
                          --base
Other runs
  --login-noise           product at 200/s, without and with 16 clients that log in continuously
  --scale                 10,000 products and 20,000 orders compared with
                          --products 1000000 --orders 5000000
  --minutes 30            memory and table sizes under a mixed load of --rate 50
  --import 100000         CPU time and memory of an import of that many rows, and the effect on
                          --rate 100 product reads; with --vs also of another revision
Output
  --base order            also the ratios of the other scenarios to this one
  --json FILE             all figures
  --page FILE             charts, as a self-contained HTML page
  --profile               the slowest SQL statements after each measurement
  --slowest               which garbage collections, blocks, slow statements and autovacuums
                          overlap with the slowest 1 % of the requests of each measurement
  --cpu-profile DIR       write a CPU profile of each process of the shop to DIR
The exit code is 1 if orders, stock or payments do not match the responses.`;

export type Options = NonNullable<ReturnType<typeof read>>;

/** Enough for several minutes of checkouts. */
const SEED_CARTS = 400_000;

/**
 * Parses the arguments. Returns undefined if they request help.
 * @throws StartError naming the wrong argument
 */
export const read = (args = process.argv.slice(2)) =>
	parseCommandLine({ command: "npm run bench --", usage: USAGE, options: OPTIONS, convert }, args);

function convert(values: Values<typeof OPTIONS>) {
	const list = (name: "buyers" | "rate") =>
		(values[name] ?? "")
			.split(",")
			.filter(Boolean)
			.map((text) => number(name, text));
	const one = (name: "seconds" | "warmup" | "postgres", least = 1) =>
		number(name, values[name], least);
	const size = (name: "products" | "users" | "orders", usual: number) =>
		values[name] ? number(name, values[name]) : usual;
	const { scale, vs, base, shape } = values;
	if (shape !== "embedded" && shape !== "cluster")
		throw new Error(`--shape is embedded or cluster, not ${shape}`);
	const noise = values["login-noise"];
	// The audit has no route, so that only a node of the cluster can call it.
	const scaling = shape === "cluster" ? [...SCALE_SCENARIOS, "audit"] : SCALE_SCENARIOS;
	const names =
		values.scenarios?.split(",") ??
		(scale ? scaling : noise ? LOGIN_NOISE_SCENARIOS : DEFAULT_SCENARIOS);
	if (scale && shape !== "cluster" && names.includes("audit"))
		throw new Error("audit needs --shape cluster: it has no route");
	const known: object = scale ? { ...scaleScenarios, audit: true } : scenarios;
	const unknown = names.filter((name) => !(name in known));
	if (unknown.length > 0) throw new Error(`there is no scenario ${unknown.join(", ")}`);
	if (base && !names.includes(base)) throw new Error(`--scenarios does not contain ${base}`);
	const orders = size("orders", scale ? 5_000_000 : 20_000);
	const products = size("products", scale ? 1_000_000 : 1000);
	const postgres = one("postgres");
	if (postgres > 1 && shape !== "cluster")
		throw new Error("--postgres needs --shape cluster: one process has one DATABASE_URL");
	const minutes = values.minutes ? number("minutes", values.minutes, 0) : undefined;
	const rows = values.import ? number("import", values.import, 4) : undefined;
	if ([scale, vs, minutes, noise].filter(Boolean).length > 1)
		throw new Error("--scale, --vs, --minutes and --login-noise exclude each other");
	if (rows && (scale || minutes || noise))
		throw new Error("--import, --scale, --minutes and --login-noise exclude each other");
	if (rows && rows % 4 > 0)
		throw new Error("--import is a multiple of 4: each product has three variants");
	return {
		shape: shape as Shape,
		scenarios: names,
		buyers: values.buyers
			? list("buyers")
			: scale
				? [4]
				: noise || minutes || rows
					? [16]
					: [1, 16, 64],
		rates: values.rate ? list("rate") : noise ? [200] : minutes ? [50] : rows ? [100] : [],
		seconds: one("seconds", 0),
		warmup: one("warmup", 0),
		rounds: number("rounds", values.rounds ?? (vs || base ? "3" : "1")),
		size: {
			products,
			orders,
			carts: names.some((name) => scenarios[name]?.usesCarts) ? SEED_CARTS : 0,
			users: size("users", scale ? Math.max(200, Math.floor(orders / 100)) : 200),
		},
		postgres,
		vs,
		base,
		floor: !values["no-floor"],
		noise,
		scale,
		minutes,
		import: rows,
		json: values.json,
		page: values.page,
		profile: values.profile,
		slowest: values.slowest,
		cpuProfile: values["cpu-profile"],
		env: Object.fromEntries(
			(values.env ?? []).map((pair) => [pair.split("=", 1)[0]!, pair.slice(pair.indexOf("=") + 1)]),
		),
	};
}

function number(name: string, text: string, least = 1): number {
	const value = Number(text);
	if (!(value >= least)) throw new Error(`--${name} is a number, at least ${least}, not ${text}`);
	return value;
}
