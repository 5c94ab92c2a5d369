import { execFileSync } from "node:child_process";
import {
	copyFileSync,
	cpSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noArguments, readCommandLine } from "../../lib/process/command-line.ts";
import { runProgram } from "../../lib/process/lifecycle.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { readContracts } from "../documents/openapi.ts";
import { declarationsOf } from "./declarations.ts";

const root = join(import.meta.dirname, "../..");
/** Folder of the package. */
export const client = join(root, "clients/typescript");
const compiler = join(root, "node_modules/typescript/bin/tsc");

/** Options that also prove that the sources use only web APIs and import nothing else. */
const OPTIONS = {
	target: "es2022",
	module: "nodenext",
	lib: ["es2022", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
	types: [],
	strict: true,
	noUncheckedIndexedAccess: true,
	verbatimModuleSyntax: true,
	rewriteRelativeImportExtensions: true,
	declaration: true,
	rootDir: "src",
	outDir: "dist",
};

/**
 * Writes JavaScript and declarations that depend on nothing outside of the package.
 * @throws StartError with the output of the compiler
 */
export async function build(dist: string): Promise<void> {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-client-"));
	try {
		copySources(folder);
		writeFileSync(join(folder, "src/contracts.ts"), declarationsOf(await readContracts()));
		compile(folder);
		rmSync(dist, { recursive: true, force: true });
		cpSync(join(folder, "dist"), dist, { recursive: true });
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

function copySources(folder: string): void {
	cpSync(join(client, "src"), join(folder, "src"), {
		recursive: true,
		filter: (file) => !file.endsWith(".test.ts"),
	});
	copyFileSync(join(client, "package.json"), join(folder, "package.json"));
	const config = { compilerOptions: OPTIONS, include: ["src"] };
	writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
}

/** @throws StartError */
function compile(folder: string): void {
	try {
		execFileSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8" });
	} catch (error) {
		const { stdout } = error as { stdout?: string };
		throw new StartError(`the client cannot be compiled: ${stdout || (error as Error).message}`);
	}
	// The compiler rewrites the extensions of imports in JavaScript only.
	const declarations = readdirSync(join(folder, "dist")).filter((file) => file.endsWith(".d.ts"));
	for (const file of declarations) {
		const path = join(folder, "dist", file);
		const text = readFileSync(path, "utf8");
		writeFileSync(path, text.replace(/(["']\.\/[\w-]+)\.ts(["'])/g, "$1.js$2"));
	}
}

if (import.meta.main)
	runProgram("client:build", async (program) => {
		await readCommandLine(
			program,
			noArguments(
				"npm run client:build --",
				"Builds the package of the client: writes clients/typescript/dist.",
			),
		);
		await build(join(client, "dist"));
		await program.stop();
	});
