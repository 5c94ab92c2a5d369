import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { breaks } from "../lib/compatible.ts";
import type { Contract } from "../lib/contract.ts";
import { commonErrors } from "../lib/errors.ts";
import { serviceNames } from "../lib/node.ts";
import { run } from "../lib/program.ts";
import { StartError } from "../lib/start-error.ts";

const root = join(import.meta.dirname, "..");
const path = join(root, "docs/contracts/released.json");

/** The contracts as they were released last. */
export const releasedContracts = (): Contract[] => JSON.parse(readFileSync(path, "utf8"));

/** The contracts as they are, those errors included that no service owns. */
export async function presentContracts(): Promise<Contract[]> {
	const folder = join(root, "services");
	const services = serviceNames(folder).filter((name) => name !== "api");
	const contracts = services.map(async (name) => {
		const module = await import(pathToFileURL(join(folder, name, `${name}.contract.ts`)).href);
		return module[name] as Contract;
	});
	return [{ name: "api", actions: {}, errors: commonErrors }, ...(await Promise.all(contracts))];
}

if (import.meta.main)
	run("contracts:release", async (program) => {
		const present = await presentContracts();
		const broken = breaks(releasedContracts(), present);
		if (broken.length > 0 && !process.argv.includes("--breaking"))
			throw new StartError(`this breaks who relies on the last release: ${broken.join("; ")}. --breaking releases it nevertheless`);
		writeFileSync(path, `${JSON.stringify(present, null, "\t")}\n`);
		console.log(`Wrote ${path}`);
		await program.stop();
	});
