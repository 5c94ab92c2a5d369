import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join, posix } from "node:path";

export interface Import {
	/** A path inside the project, or the name of a package. */
	readonly target: string;
	readonly kind: "file" | "package";
	readonly typeOnly: boolean;
}

// Formatted code has its imports at the start of a line; `import(…)` and `require(…)` may be anywhere.
const STATIC = /^(?:import|export)\s+(?<type>type\s+)?(?:[^"';]*?\sfrom\s+)?"(?<from>[^"]+)"/gm;
const DYNAMIC = /\b(?:import|require|require\.resolve)\(\s*"(?<from>[^"]+)"/g;

/** What a source file imports; Node's own modules are left out. */
export function importsOf(file: string, source: string): Import[] {
	return [STATIC, DYNAMIC].flatMap((pattern) =>
		[...source.matchAll(pattern)].flatMap(({ groups }): Import[] => {
			const from = groups!.from!;
			const typeOnly = groups!.type !== undefined;
			if (from.startsWith(".")) return [{ target: posix.join(posix.dirname(file), from), kind: "file", typeOnly }];
			if (from.startsWith("node:") || builtinModules.includes(from)) return [];
			const target = from.split("/", from.startsWith("@") ? 2 : 1).join("/");
			return [{ target, kind: "package", typeOnly }];
		}),
	);
}

export interface Layer {
	readonly name: string;
	/** The named group `domain` is the service whose folder it is. */
	readonly files: RegExp;
	/** In words, for whoever breaks it. */
	readonly rule: string;
	may(imported: Import, domain: string): boolean;
}

const below = (...folders: string[]) => new RegExp(`^(${folders.join("|")})/`);
const isPackage = ({ kind }: Import) => kind === "package";
const isContract = ({ target }: Import) => /^services\/(\w+)\/\1\.contract\.ts$/.test(target);
const isOwn = ({ target }: Import, domain: string) => target.startsWith(`services/${domain}/`);
const INFRASTRUCTURE = /^(moleculer|sequelize|pg$|umzug$|nats$|ioredis$)/;

/** Who may import what. The first layer that a file belongs to counts; tests and scripts may import anything. */
export const layers: readonly Layer[] = [
	{
		name: "lib",
		files: /^lib\//,
		rule: "lib and packages",
		may: (it) => isPackage(it) || below("lib").test(it.target),
	},
	{
		name: "a mixin or a middleware",
		files: /^(?<folder>mixins|middlewares)\//,
		rule: "lib, packages, and files of its own folder",
		may: (it) => isPackage(it) || below("lib", "mixins", "middlewares").test(it.target),
	},
	{
		name: "the gateway",
		files: /^services\/(?<domain>api)\//,
		rule: "lib, middlewares, packages and its own folder; it reads the domains from the registry",
		may: (it, domain) => isPackage(it) || isOwn(it, domain) || below("lib", "middlewares").test(it.target),
	},
	{
		name: "a contract",
		files: /^services\/(?<domain>\w+)\/\k<domain>\.contract\.ts$/,
		rule: "lib",
		may: (it) => below("lib").test(it.target),
	},
	{
		name: "rules",
		files: /^services\/(?<domain>\w+)\/[\w.-]+\.rules\.ts$/,
		rule: "lib, their own contract, other rules and types of their folder, and packages that do no input or output",
		may: (it, domain) => {
			if (isPackage(it)) return it.typeOnly || !INFRASTRUCTURE.test(it.target);
			return below("lib").test(it.target) || (isOwn(it, domain) && (it.typeOnly || /\.(contract|rules)\.ts$/.test(it.target)));
		},
	},
	{
		name: "models",
		files: /^services\/(?<domain>\w+)\/[\w.-]+\.models\.ts$/,
		rule: "sequelize, lib, and their own contract and rules",
		may: (it, domain) => {
			if (isPackage(it)) return it.target === "sequelize";
			return below("lib").test(it.target) || (isOwn(it, domain) && /\.(contract|rules)\.ts$/.test(it.target));
		},
	},
	{
		name: "a service",
		files: /^services\/(?<domain>\w+)\//,
		rule: "its own folder, mixins, lib, packages, and with import type other services' contracts",
		may: (it, domain) => isPackage(it) || isOwn(it, domain) || below("lib", "mixins").test(it.target) || (isContract(it) && it.typeOnly),
	},
];

/** What is wrong with the imports of a file, a line each. */
export function importViolations(file: string, source: string): string[] {
	for (const { name, files, rule, may } of layers) {
		const match = files.exec(file);
		if (!match) continue;
		return importsOf(file, source)
			.filter((imported) => !may(imported, match.groups?.domain ?? ""))
			.map(({ target, typeOnly }) => `${file} imports ${typeOnly ? "the type of " : ""}${target}, but ${name} may import only: ${rule}`);
	}
	return [];
}

export interface Source {
	readonly file: string;
	readonly text: string;
}
/** The files below these folders of the project, as paths from its root. */
export const filesIn = (root: string, ...folders: string[]): string[] =>
	folders.flatMap((folder) =>
		readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
			.filter((entry) => entry.isFile())
			.map((entry) => posix.join(posix.relative(root, entry.parentPath), entry.name)),
	);
export const read = (root: string, file: string): Source => ({ file, text: readFileSync(join(root, file), "utf8") });
