import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "@jest/globals";
import { root } from "./support/databases.ts";
import { filesIn } from "./support/imports.ts";

const documents = [
	"README.md",
	"CONTRIBUTING.md",
	"CHANGELOG.md",
	"SECURITY.md",
	"clients/typescript/README.md",
	...filesIn(root, "docs", "examples").filter((file) => file.endsWith(".md")),
];
const read = (file: string) => readFileSync(join(root, file), "utf8");

/** Anchor of a heading, by GitHub's rules. */
const anchorOf = (heading: string) =>
	heading
		.toLowerCase()
		.replace(/[^\p{L}\p{N} _-]/gu, "")
		.replaceAll(" ", "-");

test("every link to a file or section has an existing target", () => {
	const broken = documents.flatMap((file) =>
		[...read(file).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].flatMap(
			([link, path = "", anchor]) => {
				const target = path ? join(dirname(file), path) : file;
				if (!existsSync(join(root, target))) return [`${file}: ${link}`];
				const anchors = anchor
					? [...read(target).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading!))
					: [];
				return anchor && !anchors.includes(anchor) ? [`${file}: ${link}`] : [];
			},
		),
	);
	expect(broken).toEqual([]);
});

test("every npm script in a document exists", () => {
	const { scripts } = JSON.parse(read("package.json")) as { scripts: object };
	const named = documents.flatMap((file) =>
		[...read(file).matchAll(/npm run ([a-z]\w*(?:[:-]\w+)*)/g)].map(([, script]) => ({
			file,
			script: script!,
		})),
	);
	expect(named.filter(({ script }) => !(script in scripts))).toEqual([]);
});
