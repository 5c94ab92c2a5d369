import { resolve } from "node:path";
import { readCommandLine } from "../lib/process/command-line.ts";
import { type Program, runProgram } from "../lib/process/lifecycle.ts";
import { readSecret } from "../lib/process/secret-file.ts";
import { StartError } from "../lib/process/start-error.ts";
import { type Env, readEnv } from "../lib/settings/env.ts";
import { formatOf, logIn } from "./catalogue/api.ts";
import { exportFile } from "./catalogue/export-file.ts";
import { type ImportSummary, importFile } from "./catalogue/import-file.ts";
import { progressLine } from "./catalogue/progress.ts";

const USAGE = `npm run catalogue -- import FILE | export FILE [--url URL]
  import FILE  creates and updates products by SKU from a CSV or NDJSON file
  export FILE  writes all products to a CSV or NDJSON file
  --url URL    address of the shop, http://127.0.0.1:PORT by default
The name of the file ends with .csv or .ndjson, and with .gz if it is compressed. Logs in as
ADMIN_EMAIL with ADMIN_PASSWORD. Exits with code 1 if rows failed.`;

const COMMANDS = ["import", "export"] as const;

const read = (program: Program) =>
	readCommandLine(program, {
		command: "npm run catalogue --",
		usage: USAGE,
		options: { url: { type: "string" } },
		positionals: 2,
		convert({ url }, [name, file]) {
			if (name === undefined) throw new Error("The first argument is missing: import or export");
			const command = COMMANDS.find((one) => one === name);
			if (!command) throw new Error(`The first argument must be import or export, not "${name}"`);
			if (!file) throw new Error("The second argument must be a file");
			if (url !== undefined && !/^https?:\/\/./.test(url))
				throw new Error(`--url must begin with http:// or https://, not "${url}"`);
			formatOf(file);
			return { command, file, url: url?.replace(/\/+$/, "") };
		},
	});

runProgram("catalogue", async (program) => {
	const { command, file, url: given } = await read(program);
	const env = readEnv();
	const url = given ?? `http://127.0.0.1:${env.PORT}`;
	const token = await program.step(logIn(url, env.ADMIN_EMAIL, await passwordOf(env)));
	const started = performance.now();
	const show = (done: number, total: number, rows: number) => {
		const seconds = (performance.now() - started) / 1000;
		if (process.stderr.isTTY)
			process.stderr.write(`\r${progressLine({ done, total, rows, seconds })}\x1b[K`);
	};
	const clear = () => process.stderr.isTTY && process.stderr.write("\r\x1b[K");
	program.onEnd(100, clear);
	const target = { url, token, file, format: formatOf(file), show };
	if (command === "export") {
		const cancellation = new AbortController();
		const work = exportFile(target, cancellation.signal);
		program.onEnd(1000, () => {
			cancellation.abort();
			return work.catch(() => undefined);
		});
		const rows = await program.step(work);
		clear();
		console.log(`${rows} lines written to ${file}`);
		return void (await program.stop());
	}
	const summary = await program.step(importFile(target));
	clear();
	print(summary);
	await program.stop(summary.done && summary.failed === 0 ? 0 : 1);
});

/** @throws StartError if no password is configured and no demo shop has generated one */
async function passwordOf({ ADMIN_PASSWORD, DATA_DIR }: Env): Promise<string> {
	const password = ADMIN_PASSWORD ?? (await readSecret(resolve(DATA_DIR), "admin-password"));
	if (password) return password;
	throw new StartError("ADMIN_PASSWORD is not set: set it to the password of ADMIN_EMAIL");
}

function print({ done, detail, created, updated, unchanged, failed, errors }: ImportSummary): void {
	for (const { row, sku, field, message } of errors)
		console.log(`row ${row}  ${[sku, field].filter(Boolean).join("  ")}  ${message}`);
	if (failed > errors.length) console.log(`… and ${failed - errors.length} more`);
	const counts = `${created} created, ${updated} updated, ${unchanged} unchanged, ${failed} failed`;
	console.log(
		done ? counts : `${counts}\nThe import was not completed (${detail}); start it again`,
	);
}
