import { describe, test } from "@jest/globals";

/** Tests that cannot run on every machine; `reason` says what is missing and how to get it. The skip reporter counts the tests by their reasons. */
export function testIf(
	possible: boolean,
	reason: string,
): (title: string, run: () => Promise<unknown>, timeout?: number) => void {
	return possible
		? test
		: (title, run, timeout) => test.skip(withReason(title, reason), run, timeout);
}

/** The same for a block of tests. */
export function describeIf(
	possible: boolean,
	reason: string,
): (title: string, tests: () => void) => void {
	return possible ? describe : (title, tests) => describe.skip(withReason(title, reason), tests);
}

/** The title of a skipped test, in the form that the skip reporter reads. */
export const withReason = (title: string, reason: string): string =>
	`${title} [skipped: ${reason}]`;
