import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { parse } from "@babel/parser";
import { root } from "./databases.ts";

/** A regular expression literal in a source file. */
export interface Pattern {
	/** Relative to the repository. */
	readonly file: string;
	readonly line: number;
	readonly source: string;
	readonly flags: string;
}
/** `RegExp(…)`, whose pattern is only available at run time. */
export interface ComputedPattern {
	readonly file: string;
	readonly line: number;
	readonly text: string;
}
interface Patterns {
	readonly patterns: Pattern[];
	readonly computed: ComputedPattern[];
}
/** The members of Babel's syntax nodes that this file reads. */
interface SyntaxNode {
	readonly type: string;
	readonly start: number;
	readonly end: number;
	readonly loc: { readonly start: { readonly line: number } };
	readonly pattern?: string;
	readonly flags?: string;
	readonly callee?: { readonly name?: string };
	readonly arguments?: readonly { readonly type: string; readonly value?: unknown }[];
	readonly source?: { readonly value: string } | null;
}

/** All regular expressions of the files. */
export function patternsOf(files: readonly string[]): Patterns {
	const found: Patterns = { patterns: [], computed: [] };
	for (const file of files) {
		const text = readFileSync(file, "utf8");
		for (const node of nodesOf(file, text)) {
			const at = { file: relative(root, file), line: node.loc.start.line };
			if (node.type === "RegExpLiteral")
				found.patterns.push({ ...at, source: node.pattern!, flags: node.flags! });
			else if (/^(New|Call)Expression$/.test(node.type) && node.callee?.name === "RegExp")
				found.computed.push({ ...at, text: text.slice(node.start, node.end) });
		}
	}
	return found;
}

const parsed = new Map<string, readonly SyntaxNode[]>();
function nodesOf(file: string, text: string): readonly SyntaxNode[] {
	const cached = parsed.get(file);
	if (cached) return cached;
	const nodes: SyntaxNode[] = [];
	const { program } = parse(text, {
		sourceType: "unambiguous",
		errorRecovery: true,
		plugins: file.endsWith(".ts") ? ["typescript"] : [],
	});
	collect(program as unknown as SyntaxNode, nodes);
	parsed.set(file, nodes);
	return nodes;
}
function collect(node: SyntaxNode, nodes: SyntaxNode[]): void {
	if (/^RegExpLiteral$|^(New|Call)Expression$|^(Im|Ex)port/.test(node.type)) nodes.push(node);
	for (const child of Object.values(node).flat()) if (isNode(child)) collect(child, nodes);
}
const isNode = (value: unknown): value is SyntaxNode =>
	typeof value === "object" &&
	value !== null &&
	"type" in value &&
	"loc" in value &&
	typeof value.type === "string";

/** Drivers of databases other than Postgres, which nothing loads. */
const OTHER_DIALECTS = /\/dialects\/(?!abstract|postgres)/;

/**
 * Absolute paths of the files of a package that its main file loads, directly or through other
 * files. Computed names are not followed.
 */
export function filesOfPackage(name: string): string[] {
	const require = createRequire(join(root, "package.json"));
	const folder = folderOf(name);
	const files = new Set<string>();
	const visit = (file: string): void => {
		if (files.has(file) || !/\.[cm]?js$/.test(file) || OTHER_DIALECTS.test(file)) return;
		if (relative(folder, file).startsWith("..") || /\/node_modules\//.test(relative(folder, file)))
			return;
		files.add(file);
		const from = createRequire(file);
		for (const target of loadsOf(file)) if (target.startsWith(".")) visit(from.resolve(target));
	};
	visit(require.resolve(name));
	return [...files];
}

/** Literal targets of `require`, `import` and `export … from` in a file. */
function loadsOf(file: string): string[] {
	return nodesOf(file, readFileSync(file, "utf8")).flatMap((node) => {
		if (node.source) return [node.source.value];
		const [target] = node.arguments ?? [];
		const isRequire = node.callee?.name === "require" && target?.type === "StringLiteral";
		return isRequire ? [target.value as string] : [];
	});
}

/**
 * Searches Node's module folders, because some packages have no main file or hide their
 * package.json.
 */
function folderOf(name: string): string {
	const places = createRequire(join(root, "package.json")).resolve.paths(name) ?? [];
	const found = places
		.map((place) => join(place, name))
		.find((folder) => globSync("package.json", { cwd: folder }).length > 0);
	if (!found) throw new Error(`The package ${name} is not installed`);
	return dirname(join(found, "package.json"));
}
