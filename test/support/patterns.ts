import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { parse } from "@babel/parser";
import { root } from "./databases.ts";

/** A regular expression in a source file. */
export interface Pattern {
	/** Relative to the repository. */
	readonly file: string;
	readonly line: number;
	readonly source: string;
	readonly flags: string;
}
/** `RegExp(…)`, whose pattern is known at run time only. */
export interface ComputedPattern {
	readonly file: string;
	readonly line: number;
	readonly text: string;
}
interface Found {
	readonly patterns: Pattern[];
	readonly computed: ComputedPattern[];
}
/** What is read of a node of Babel's syntax tree. */
interface SyntaxNode {
	readonly type: string;
	readonly start: number;
	readonly end: number;
	readonly loc: { readonly start: { readonly line: number } };
	readonly pattern?: string;
	readonly flags?: string;
	readonly callee?: { readonly name?: string };
}

/** Every regular expression of these files. */
export function patternsOf(files: readonly string[]): Found {
	const found: Found = { patterns: [], computed: [] };
	for (const file of files) {
		const text = readFileSync(file, "utf8");
		const plugins = file.endsWith(".ts") ? (["typescript"] as const) : [];
		const { program } = parse(text, {
			sourceType: "unambiguous",
			errorRecovery: true,
			plugins: [...plugins],
		});
		visit(program as unknown as SyntaxNode, text, relative(root, file), found);
	}
	return found;
}

function visit(node: SyntaxNode, text: string, file: string, found: Found): void {
	const { type, start, end, loc } = node;
	const at = { file, line: loc.start.line };
	if (type === "RegExpLiteral")
		found.patterns.push({ ...at, source: node.pattern!, flags: node.flags! });
	else if (/^(New|Call)Expression$/.test(type) && node.callee?.name === "RegExp")
		found.computed.push({ ...at, text: text.slice(start, end) });
	for (const child of Object.values(node).flat())
		if (isNode(child)) visit(child, text, file, found);
}
const isNode = (value: unknown): value is SyntaxNode =>
	typeof value === "object" &&
	value !== null &&
	"type" in value &&
	"loc" in value &&
	typeof value.type === "string";

/** The files of a package that the shop may load, as absolute paths. Of databases that is Postgres only. */
export function filesOfPackage(name: string): string[] {
	const folder = folderOf(name);
	return globSync(["**/*.js", "**/*.cjs"], { cwd: folder })
		.filter(
			(file) =>
				!/(^|\/)(node_modules|test|tests|docs|examples|benchmark|umd|esm)\/|browser|\.min\.js$|dialects\/(?!abstract|postgres)/.test(
					file,
				),
		)
		.map((file) => join(folder, file));
}

/** Packages may hide their package.json, or have no main file, so the folder is looked for on the path. */
function folderOf(name: string): string {
	const places = createRequire(join(root, "package.json")).resolve.paths(name) ?? [];
	const found = places
		.map((place) => join(place, name))
		.find((folder) => globSync("package.json", { cwd: folder }).length > 0);
	if (!found) throw new Error(`The package ${name} is not installed`);
	return dirname(join(found, "package.json"));
}
