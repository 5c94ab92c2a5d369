import { spawnSync } from "node:child_process";
import {
	cpSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { root } from "./databases.ts";

const TOOLS = "bash cat chmod dirname env grep head id ls mkdir mv od rm sed seq sleep tr wc".split(
	" ",
);
const STORES = ["nats", "postgres", "redis"];
const fakes = join(root, "test/support/fakes");

export interface Checkout {
	readonly folder: string;
	read(file: string): string;
	/** Running containers of services and the edge, with their versions: `{ orders_1: "v1" }`. */
	containers(): Record<string, string>;
	/** Runs a script. `calls` are the commands that the fake programs received. */
	run(
		script: "setup.sh" | "deploy.sh",
		args: readonly string[],
		env?: Record<string, string>,
	): { code: number | null; output: string; errors: string; calls: string[] };
	remove(): void;
}

/**
 * Temporary checkout of the setup and deployment scripts, on a PATH with basic tools and fakes.
 * @param programs whose fakes are installed
 * @param services in the checkout; the fake kubectl has its own list
 * @param withoutContainer services in the checkout that run in the container of another
 */
export function makeCheckout(
	programs: readonly string[],
	services: readonly string[] = [],
	withoutContainer: readonly string[] = [],
): Checkout {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-deploy-"));
	const [bin, containers, callLog] = ["bin", "containers", "calls"].map((name) =>
		join(folder, name),
	) as [string, string, string];
	for (const path of [
		bin,
		containers,
		...[...services, ...withoutContainer].map((name) => join(folder, "services", name)),
	])
		mkdirSync(path, { recursive: true });
	for (const file of [
		".ci/install",
		"scripts/setup.sh",
		"scripts/deploy.sh",
		"k8s/overlays/blue-green",
	])
		cpSync(join(root, file), join(folder, file), { recursive: true });
	writeFileSync(join(folder, "k8s/overlays/blue-green/secrets.env"), "");
	const folders = (process.env.PATH ?? "").split(delimiter);
	for (const tool of TOOLS)
		symlinkSync(join(folders.find((path) => existsSync(join(path, tool)))!, tool), join(bin, tool));
	for (const program of programs) symlinkSync(join(fakes, program), join(bin, program));
	const read = (file: string) => readFileSync(join(folder, file), "utf8");

	return {
		folder,
		read,
		containers() {
			const services = readdirSync(containers).filter(
				(name) => !STORES.includes(name.replace(/_\d+$/, "")),
			);
			return Object.fromEntries(
				services.map((name) => [name, read(join("containers", name)).trim()]),
			);
		},
		run(script, args, env = {}) {
			writeFileSync(callLog, "");
			const base = {
				PATH: bin,
				CALLS: callLog,
				CONTAINERS: containers,
				ALL: [...services, "edge", ...STORES].join(" "),
			};
			const { status, stdout, stderr } = spawnSync(join(folder, "scripts", script), args, {
				env: { ...base, ...env },
				encoding: "utf8",
			});
			return {
				code: status,
				output: stdout,
				errors: stderr,
				calls: read("calls").trim().split("\n"),
			};
		},
		remove: () => rmSync(folder, { recursive: true, force: true }),
	};
}
