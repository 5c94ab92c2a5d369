/** Maximum number of edits to a word of this length. Shorter words have too many neighbors. */
const maxEdits = (length: number): number =>
	length < 4 ? 0 : length < 6 ? 1 : length < 10 ? 2 : 3;

/**
 * The candidate with the fewest edits, the first of equal ones, or undefined if every candidate
 * needs too many.
 * @param candidates known words, most similar first
 */
export function closestWord(word: string, candidates: readonly string[]): string | undefined {
	let [closest, fewest]: [string | undefined, number] = [undefined, maxEdits(word.length) + 1];
	for (const candidate of candidates) {
		const edits = editDistance(word, candidate);
		if (edits < fewest) [closest, fewest] = [candidate, edits];
	}
	return closest;
}

/**
 * Number of insertions, deletions, replacements and exchanges of neighbors that change one word
 * into the other (optimal string alignment distance).
 */
export function editDistance(a: string, b: string): number {
	let [beforeLast, last]: [number[], number[]] = [
		[],
		Array.from({ length: b.length + 1 }, (_, j) => j),
	];
	for (let i = 1; i <= a.length; i++) {
		const row = [i];
		for (let j = 1; j <= b.length; j++) {
			const same = a[i - 1] === b[j - 1] ? 0 : 1;
			let edits = Math.min(row[j - 1]! + 1, last[j]! + 1, last[j - 1]! + same);
			if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
				edits = Math.min(edits, beforeLast[j - 2]! + 1);
			row.push(edits);
		}
		[beforeLast, last] = [last, row];
	}
	return last[b.length]!;
}
