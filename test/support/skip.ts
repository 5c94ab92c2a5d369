import { describe, test } from "@jest/globals";

/**
 * `test` for a test that cannot run on every machine.
 * @param reason names the missing program and how to install it; the skip reporter groups by it
 */
export function testIf(
	possible: boolean,
	reason: string,
): (title: string, run: () => Promise<unknown>) => void {
	return possible ? test : (title, run) => test.skip(withReason(title, reason), run);
}

/** `describe` for such tests. */
export function describeIf(
	possible: boolean,
	reason: string,
): (title: string, tests: () => void) => void {
	return possible ? describe : (title, tests) => describe.skip(withReason(title, reason), tests);
}

/** Title of a skipped test in the format that the skip reporter parses. */
export const withReason = (title: string, reason: string): string =>
	`${title} [skipped: ${reason}]`;
