// Bundles the console into console/dist. npm runs it after `npm ci`. Plain JavaScript, so that a
// Node version without TypeScript support runs it.
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";

const folder = import.meta.dirname;
const dist = join(folder, "dist");

const USAGE = `npm run console                builds the admin console into console/dist
npm run console -- --watch     builds it after each change`;

/** Parses the command line. Ends the process for an unknown argument. */
function readArguments() {
	try {
		return parseArgs({
			options: {
				watch: { type: "boolean", default: false },
				help: { type: "boolean", short: "h", default: false },
			},
		});
	} catch (error) {
		const [problem] = error.message.split(/\. To specify|\n/);
		console.error(`${problem}; "npm run console -- --help" lists the arguments`);
		process.exit(1);
	}
}

/**
 * Writes the files of a build with their compressed forms, then the page that refers to them, and
 * then deletes the files of earlier builds.
 * @param {import("esbuild").OutputFile[]} outputs
 */
async function write(outputs) {
	await mkdir(join(dist, "assets"), { recursive: true });
	const files = new Map();
	for (const { path, contents } of outputs) {
		const name = basename(path);
		files.set(name, contents);
		files.set(`${name}.br`, await promisify(brotliCompress)(contents));
		files.set(`${name}.gz`, await promisify(gzip)(contents, { level: 9 }));
	}
	for (const [name, content] of files) await replace(join(dist, "assets", name), content);
	const nameOf = (extension) => [...files.keys()].find((name) => name.endsWith(extension));
	const page = (await readFile(join(folder, "index.html"), "utf8"))
		.replace("%js%", nameOf(".js"))
		.replace("%css%", nameOf(".css"));
	await replace(join(dist, "index.html"), page);
	for (const name of await readdir(join(dist, "assets")))
		if (!files.has(name) && !name.endsWith(".new"))
			await rm(join(dist, "assets", name), { force: true });
	const kilobytes = [...files]
		.filter(([name]) => name.endsWith(".gz"))
		.reduce((sum, [, { length }]) => sum + length / 1000, 0);
	console.log(`The console is built: ${kilobytes.toFixed(1)} kB compressed`);
}

/** Replaces a file at once, because the gateway and other builds use it at any time. */
async function replace(path, content) {
	const temporary = `${path}.${process.pid}.new`;
	await writeFile(temporary, content);
	await rename(temporary, path);
}

const { values } = readArguments();
if (values.help) {
	console.log(USAGE);
	process.exit(0);
}
const esbuild = await import("esbuild").catch(() => undefined);
if (!esbuild) {
	console.log("The console is not built, because esbuild is not installed (npm ci --omit=dev)");
	process.exit(0);
}
const context = await esbuild.context({
	entryPoints: [join(folder, "src/main.tsx")],
	outdir: join(dist, "assets"),
	entryNames: "[name]-[hash]",
	bundle: true,
	format: "esm",
	target: "es2022",
	minify: true,
	legalComments: "none",
	jsx: "automatic",
	jsxImportSource: "preact",
	// The options above are complete; the image has no base configuration.
	tsconfigRaw: "{}",
	write: false,
	logLevel: "warning",
	plugins: [
		{
			name: "write",
			setup: ({ onEnd }) =>
				onEnd(async ({ errors, outputFiles }) => {
					if (errors.length === 0) await write(outputFiles);
				}),
		},
	],
});
if (values.watch) await context.watch();
else {
	try {
		await context.rebuild();
	} catch {
		// esbuild has printed the errors.
		process.exitCode = 1;
	} finally {
		await context.dispose();
	}
}
