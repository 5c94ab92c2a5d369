import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { breakingChanges } from "../../lib/contracts/compatibility.ts";
import type { Contract } from "../../lib/contracts/contract.ts";
import { commonErrors } from "../../lib/contracts/errors.ts";
import { readCommandLine } from "../../lib/process/command-line.ts";
import { runProgram } from "../../lib/process/lifecycle.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { readContracts } from "../documents/openapi.ts";

const USAGE = `npm run contracts:release -- [--breaking]
  Writes the current contracts to docs/contracts/released.json. Fails if they are incompatible with
  the last release, except for the changes in docs/contracts/accepted-breaks.json.
  --breaking  writes incompatible contracts as well`;
const folder = join(import.meta.dirname, "../../docs/contracts");
const path = join(folder, "released.json");
const acceptedPath = join(folder, "accepted-breaks.json");

/** The contracts of the last release. */
export const releasedContracts = (): Contract[] => JSON.parse(readFileSync(path, "utf8"));

interface AcceptedBreak {
	readonly reason: string;
	/** Lines of `breakingChanges`. */
	readonly changes: readonly string[];
}
/** Incompatible changes since the last release that callers and consumers can cope with. */
export const acceptedBreaks = (): string[] =>
	(JSON.parse(readFileSync(acceptedPath, "utf8")) as AcceptedBreak[]).flatMap(
		({ changes }) => changes,
	);

/** The current contracts, including the common errors. */
export const presentContracts = async (): Promise<Contract[]> => [
	{ name: "api", actions: {}, errors: commonErrors },
	...(await readContracts()),
];

if (import.meta.main)
	runProgram("contracts:release", async (program) => {
		const { breaking } = await readCommandLine(program, {
			command: "npm run contracts:release --",
			usage: USAGE,
			options: { breaking: { type: "boolean", default: false } },
			convert: (values) => values,
		});
		const current = await presentContracts();
		const accepted = acceptedBreaks();
		const broken = breakingChanges(releasedContracts(), current).filter(
			(change) => !accepted.includes(change),
		);
		if (broken.length > 0 && !breaking)
			throw new StartError(
				"the contracts are incompatible with the last release: " +
					`${broken.join("; ")}. To release them: --breaking`,
			);
		writeFileSync(path, `${JSON.stringify(current, null, "\t")}\n`);
		writeFileSync(acceptedPath, "[]\n");
		console.log(`Wrote ${path}`);
		await program.stop();
	});
