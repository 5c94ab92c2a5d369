import type { AggregatedResult } from "@jest/reporters";

/**
 * Summarizes skipped tests in one line, or returns undefined if there are none. Tests that `-t`
 * filters out have no reason and do not count.
 * @param titles full titles of the tests that did not run
 */
export function describeSkipped(titles: readonly string[]): string | undefined {
	const counts = new Map<string, number>();
	for (const title of titles) {
		const reason = /\[skipped: (.*?)\]/.exec(title)?.[1];
		if (reason) counts.set(reason, (counts.get(reason) ?? 0) + 1);
	}
	const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
	if (total === 0) return undefined;
	const reasons = [...counts].map(([reason, count]) =>
		counts.size > 1 ? `${reason} (${count})` : reason,
	);
	return `${total} ${total === 1 ? "test" : "tests"} skipped: ${reasons.join("; ")}`;
}

/** Prints that line at the end of the run. */
export default class SkipReporter {
	onRunComplete(_: unknown, { testResults }: AggregatedResult): void {
		const skipped = testResults.flatMap(({ testResults: tests }) =>
			tests.filter(({ status }) => status === "pending"),
		);
		const line = describeSkipped(skipped.map(({ fullName }) => fullName));
		if (line) process.stderr.write(`${line}\n`);
	}
}
