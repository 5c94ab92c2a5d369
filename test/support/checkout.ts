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
	/** Which containers of its services and of the edge there are, and of which version: `{ orders_1: "v1" }`. */
	containers(): Record<string, string>;
	/** Runs one of its scripts. `calls` is what it had the stand-ins do. */
	run(
		script: "setup.sh" | "deploy.sh",
		args: readonly string[],
		env?: Record<string, string>,
	): { code: number | null; said: string; errors: string; calls: string[] };
	remove(): void;
}

/**
 * What sets up and deploys, in a folder of its own, on a machine with nothing but the usual tools and stand-ins for these programs.
 * @param services that the checkout has; Kubernetes' stand-in knows its own
 */
export function makeCheckout(
	programs: readonly string[],
	services: readonly string[] = [],
): Checkout {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-deploy-"));
	const [bin, containers, noted] = ["bin", "containers", "calls"].map((name) =>
		join(folder, name),
	) as [string, string, string];
	for (const made of [bin, containers, ...services.map((name) => join(folder, "services", name))])
		mkdirSync(made, { recursive: true });
	for (const file of [
		".ci/install",
		"scripts/setup.sh",
		"scripts/deploy.sh",
		"k8s/overlays/blue-green",
	])
		cpSync(join(root, file), join(folder, file), { recursive: true });
	writeFileSync(join(folder, "k8s/overlays/blue-green/secrets.env"), "");
	const places = (process.env.PATH ?? "").split(delimiter);
	for (const tool of TOOLS)
		symlinkSync(
			join(places.find((place) => existsSync(join(place, tool)))!, tool),
			join(bin, tool),
		);
	for (const program of programs) symlinkSync(join(fakes, program), join(bin, program));
	const read = (file: string) => readFileSync(join(folder, file), "utf8");

	return {
		folder,
		read,
		containers() {
			const ours = readdirSync(containers).filter(
				(name) => !STORES.includes(name.replace(/_\d+$/, "")),
			);
			return Object.fromEntries(ours.map((name) => [name, read(join("containers", name)).trim()]));
		},
		run(script, args, env = {}) {
			writeFileSync(noted, "");
			const known = {
				PATH: bin,
				CALLS: noted,
				CONTAINERS: containers,
				ALL: [...services, "edge", ...STORES].join(" "),
			};
			const { status, stdout, stderr } = spawnSync(join(folder, "scripts", script), args, {
				env: { ...known, ...env },
				encoding: "utf8",
			});
			return {
				code: status,
				said: stdout,
				errors: stderr,
				calls: read("calls").trim().split("\n"),
			};
		},
		remove: () => rmSync(folder, { recursive: true, force: true }),
	};
}
