const MAX_COLUMNS = 100;

/** Lines of code that cannot be broken. The formatter keeps an import of one name on one line. */
const UNBREAKABLE: readonly RegExp[] = [
	/^import \{ \w+ \} from "/,
	/^\s*\* https:\/\/\S+$/,
	// A regular expression.
	/^\s*\/.+\/[a-z]*[,;]$/,
];
/** Lines of Markdown that cannot be broken: of a table, with one link or image, or one command. */
const UNBREAKABLE_PROSE: readonly RegExp[] = [/^\s*\|/, /^\s*!?\[[^\]]*\]\(\S+$/, /^`[^`]+`\.?$/];

/** Too long lines of a source file or Markdown document, by their number and width. */
export function longLines(file: string, text: string): string[] {
	const isProse = file.endsWith(".md");
	const exempt = isProse ? UNBREAKABLE_PROSE : UNBREAKABLE;
	let inBlock = false;
	return text.split("\n").flatMap((line, i) => {
		if (isProse && line.trimStart().startsWith("```")) inBlock = !inBlock;
		const columns = columnsOf(line);
		if (columns <= MAX_COLUMNS || inBlock || exempt.some((pattern) => pattern.test(line)))
			return [];
		return [`${file}:${i + 1} has ${columns} columns, the maximum is ${MAX_COLUMNS}`];
	});
}

/** Width as the formatter counts it: a tab has two columns. */
const columnsOf = (line: string): number => line.replaceAll("\t", "  ").length;
