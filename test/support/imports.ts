import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join, posix } from "node:path";

interface Import {
	/** Path from the project root, or name of a package. */
	readonly target: string;
	readonly kind: "file" | "package";
	readonly typeOnly: boolean;
}

// The formatter puts imports at the start of a line; `import(…)` and `require(…)` can be anywhere.
const STATIC = /^(?:import|export)\s+(?<type>type\s+)?(?:[^"';]*?\sfrom\s+)?"(?<from>[^"]+)"/gm;
const DYNAMIC = /\b(?:import|require|require\.resolve)\(\s*"(?<from>[^"]+)"/g;

/** Imports of a source file, without Node's built-in modules. */
export function importsOf(file: string, source: string): Import[] {
	return [STATIC, DYNAMIC].flatMap((pattern) =>
		[...source.matchAll(pattern)].flatMap(({ groups }): Import[] => {
			const from = groups!.from!;
			const typeOnly = groups!.type !== undefined;
			if (from.startsWith("."))
				return [{ target: posix.join(posix.dirname(file), from), kind: "file", typeOnly }];
			if (from.startsWith("node:") || builtinModules.includes(from)) return [];
			const target = from.split("/", from.startsWith("@") ? 2 : 1).join("/");
			return [{ target, kind: "package", typeOnly }];
		}),
	);
}

/** Folders of lib from bottom to top: a folder may import itself and the folders before it. */
export const LIB_FOLDERS = [
	"text",
	"money",
	"pricing",
	"context",
	"resilience",
	"async",
	"process",
	"contracts",
	"addresses",
	"records",
	"settings",
	"observability",
	"persistence",
	"caching",
	"health",
	"security",
	"idempotency",
	"messaging",
	"saga",
	"service",
] as const;

interface Layer {
	readonly name: string;
	/** The named group `domain` is the folder of the service, or of lib. */
	readonly files: RegExp;
	/** Allowed imports, for the message of a violation. */
	readonly rule: string;
	isAllowed(imported: Import, domain: string): boolean;
}

const inside = (...folders: string[]) => new RegExp(`^(${folders.join("|")})/`);
const isPackage = ({ kind }: Import) => kind === "package";
const isContract = ({ target }: Pick<Import, "target">) =>
	/^services\/(\w+)\/\1\.contract\.ts$/.test(target);
/** Parts of a contract without actions, for results that another service passes on unchanged. */
const isShapes = ({ target }: Import) => /^services\/(\w+)\/\1\.contract\.shapes\.ts$/.test(target);
const isOwn = ({ target }: Import, domain: string) => target.startsWith(`services/${domain}/`);
/**
 * Tools print the documents that the gateway serves and generate requests from its routes;
 * migrations run data migrations of a service.
 */
const FOR_TOOLS =
	/^services\/api\/(documentation|routing|link-pages)\/|^services\/(api\/system-endpoints|users\/users\.canonical-emails)\.ts$/;
const INFRASTRUCTURE = /^(moleculer|sequelize|pg$|nats$|ioredis$)/;

/** Import rules. The first layer that matches a file applies. Other tests may import anything. */
const layers: readonly Layer[] = [
	{
		name: "a test of lib",
		files: /^lib\/(?<domain>[\w-]+)\/.*(\.test\.ts$|\btest\/)/,
		rule: "anything but tools, of which only the saga may import its explorer",
		isAllowed: ({ target }, folder) =>
			!inside("tools").test(target) ||
			(folder === "saga" && inside("tools/saga-explorer").test(target)),
	},
	{
		name: "a folder of lib",
		files: /^lib\/(?<domain>[\w-]+)\//,
		rule: `packages, its own folder and lower folders of lib (${LIB_FOLDERS.join(" < ")})`,
		isAllowed: (imported, folder) => {
			const target = /^lib\/([\w-]+)\//.exec(imported.target)?.[1];
			return isPackage(imported) || isLower(target, folder);
		},
	},
	{
		name: "a mixin or middleware",
		files: /^(mixins|middlewares)\//,
		rule: "lib, packages, and mixins or middlewares",
		isAllowed: (imported) =>
			isPackage(imported) || inside("lib", "mixins", "middlewares").test(imported.target),
	},
	{
		name: "the gateway",
		files: /^services\/(?<domain>api)\//,
		rule: "lib, middlewares, packages and its own folder; it reads domains from the registry",
		isAllowed: (imported, domain) =>
			isPackage(imported) ||
			isOwn(imported, domain) ||
			inside("lib", "middlewares").test(imported.target),
	},
	{
		name: "a contract",
		files: /^services\/(?<domain>\w+)\/\k<domain>\.contract(\.\w+)?\.ts$/,
		rule: "lib, parts of the same contract (NAME.contract.PART.ts), and shapes of other contracts",
		isAllowed: (imported, domain) =>
			inside("lib").test(imported.target) ||
			imported.target.startsWith(`services/${domain}/${domain}.contract.`) ||
			isShapes(imported),
	},
	{
		name: "rules",
		files: /^services\/(?<domain>\w+)\/(?:[\w-]+\/)*(?:[\w.-]+\.)?rules\.ts$/,
		rule: "lib, their own contract, rules and types of their folder, and packages without I/O",
		isAllowed: (imported, domain) => {
			if (isPackage(imported)) return imported.typeOnly || !INFRASTRUCTURE.test(imported.target);
			if (inside("lib").test(imported.target)) return true;
			const isPure = imported.typeOnly || /(\.contract(\.\w+)?|\brules)\.ts$/.test(imported.target);
			return isOwn(imported, domain) && isPure;
		},
	},
	{
		name: "models",
		files: /^services\/(?<domain>\w+)\/[\w.-]+\.models\.ts$/,
		rule: "sequelize, lib, and their own contract and rules",
		isAllowed: (imported, domain) => {
			if (isPackage(imported)) return imported.target === "sequelize";
			if (inside("lib").test(imported.target)) return true;
			return isOwn(imported, domain) && /(\.contract(\.\w+)?|\brules)\.ts$/.test(imported.target);
		},
	},
	{
		name: "a service",
		files: /^services\/(?<domain>\w+)\//,
		rule: "its own folder, mixins, lib, packages, and types of other services' contracts",
		isAllowed: (imported, domain) =>
			isPackage(imported) ||
			isOwn(imported, domain) ||
			inside("lib", "mixins").test(imported.target) ||
			(isContract(imported) && imported.typeOnly),
	},
	{
		name: "a client",
		files: /^clients\/(?<domain>[\w-]+)\/src\//,
		rule: "its own files, and types of contracts; no packages",
		isAllowed: ({ target, typeOnly }, client) =>
			inside(`clients/${client}/src`).test(target) ||
			(typeOnly && (isContract({ target }) || inside("lib/contracts").test(target))),
	},
	{
		name: "the console",
		files: /^console\//,
		rule: "its own folder, the typed client, packages, and types of contracts",
		isAllowed: (imported) =>
			isPackage(imported) ||
			inside("console").test(imported.target) ||
			imported.target === "clients/typescript/src/index.ts" ||
			(isContract(imported) && imported.typeOnly),
	},
	{
		name: "a tool or script",
		files: /^(tools|scripts)\//,
		rule: "anything but services, except contracts, the gateway's documents and data migrations",
		isAllowed: (imported) =>
			isContract(imported) ||
			!inside("services").test(imported.target) ||
			FOR_TOOLS.test(imported.target),
	},
];

function isLower(target: string | undefined, folder: string): boolean {
	const order: readonly string[] = LIB_FOLDERS;
	return (
		target !== undefined && order.includes(target) && order.indexOf(target) <= order.indexOf(folder)
	);
}

/** Violations of the import rules by one file, one line each. */
export function importViolations(file: string, source: string): string[] {
	for (const { name, files, rule, isAllowed } of layers) {
		const match = files.exec(file);
		if (!match) continue;
		return importsOf(file, source)
			.filter((imported) => !isAllowed(imported, match.groups?.domain ?? ""))
			.map(({ target, typeOnly }) => {
				const imported = typeOnly ? `the type of ${target}` : target;
				return `${file} imports ${imported}, but ${name} may import only: ${rule}`;
			});
	}
	return [];
}

/** Import cycles, each as the list of its files. Includes type-only imports. */
export function importCycles(sources: readonly Source[]): string[][] {
	const graph = new Map(
		sources.map(({ file, text }) => [
			file,
			importsOf(file, text).flatMap(({ kind, target }) => (kind === "file" ? [target] : [])),
		]),
	);
	const state = new Map<string, "open" | "done">();
	const path: string[] = [];
	const cycles: string[][] = [];
	const visit = (file: string): void => {
		if (state.get(file) === "open") cycles.push([...path.slice(path.indexOf(file)), file]);
		if (state.has(file)) return;
		state.set(file, "open");
		path.push(file);
		for (const target of graph.get(file) ?? []) visit(target);
		path.pop();
		state.set(file, "done");
	};
	for (const file of graph.keys()) visit(file);
	return cycles;
}

interface Source {
	readonly file: string;
	readonly text: string;
}
/** Paths, from the project root, of all files in the given folders. */
export const filesIn = (root: string, ...folders: string[]): string[] =>
	folders.flatMap((folder) =>
		readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
			.filter((entry) => entry.isFile())
			.map((entry) => posix.join(posix.relative(root, entry.parentPath), entry.name)),
	);
export const read = (root: string, file: string): Source => ({
	file,
	text: readFileSync(join(root, file), "utf8"),
});
