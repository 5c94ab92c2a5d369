import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { root } from "./support/databases.ts";

// Where a line is wrapped does not matter.
const mission = readFileSync(join(root, "docs/mission.md"), "utf8").replace(/\n +(?!\s*-)/g, " ");
const [, ...sections] = mission.split(/^(?:\d+\.|- \*\*|## How)/m);
const text = new Map<string, string>();
const read = (file: string): string => {
	if (!text.has(file)) text.set(file, existsSync(join(root, file)) ? readFileSync(join(root, file), "utf8") : "");
	return text.get(file)!;
};

test("there are 38 lines, each with the files that do it and the tests that hold it", () => {
	expect([...mission.matchAll(/^(\d+)\. \*\*/gm)].map(([, number]) => Number(number))).toEqual(Array.from({ length: 38 }, (_, i) => i + 1));
	const bare = sections.filter((section) => section.includes("**") && !/- Files: `.*- Tests: `/s.test(section));
	expect(bare).toEqual([]);
});

test("each file that it names is there", () => {
	const files = [...mission.matchAll(/`([\w.-]*\/[\w./-]+|\w+\.config\.ts|Dockerfile|docker-compose[\w.]*)`/g)].map(([, file]) => file!);
	expect(files.length).toBeGreaterThan(90);
	expect(files.filter((file) => !existsSync(join(root, file)) && !file.startsWith("/"))).toEqual([]);
});

test("each test that it names is there", () => {
	const named = [...mission.matchAll(/^ +- Tests: (.*)$/gm)].flatMap(([, line]) =>
		[...line!.matchAll(/`([^`]+)`((?:,? "[^"]+")+)/g)].flatMap(([, file, titles]) =>
			[...titles!.matchAll(/"([^"]+)"/g)].map(([, title]) => ({ file: file!, title: title! })),
		),
	);
	expect(named.length).toBeGreaterThan(70);
	expect(named.filter(({ file, title }) => !read(file).includes(`"${title}"`))).toEqual([]);
	// No title was passed over.
	expect(named).toHaveLength(
		mission
			.match(/^ +- Tests: .*$/gm)!
			.join("")
			.split('"').length >> 1,
	);
});
