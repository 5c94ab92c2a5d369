import { BUGS, type Bug, type ProfileName } from "./profiles.ts";
import { chaos } from "./run.ts";

/** A short run, with the invariant that it must find violated; undefined for none. */
export interface SelfTest {
	readonly title: string;
	readonly bug?: Bug;
	readonly faults?: ProfileName;
	readonly violates?: string;
}

const bugs = Object.keys(BUGS) as Bug[];
/** Each deliberate bug, and the profiles that reveal them without a bug. */
export const SELF_TESTS: readonly SelfTest[] = [
	...bugs.map((bug) => ({ title: `bug ${bug}`, bug, violates: BUGS[bug].breaks })),
	...[...new Set<ProfileName>([...bugs.map((bug) => BUGS[bug].faults), "large"])].map((faults) => ({
		title: `profile ${faults}`,
		faults,
	})),
];

/** Seconds after which an open saga counts as a violation in a run with a bug. */
const BUG_SETTLE_SECONDS = 5;

/**
 * Verifies that a run of four seconds detects a deliberate bug, or reports nothing without one.
 * @returns the violated invariants if they are not the expected ones, otherwise undefined
 */
export async function runSelfTest(test: SelfTest): Promise<readonly string[] | undefined> {
	const { findings } = await chaos({
		seconds: 4,
		seed: 7,
		buyers: 12,
		size: { edge: 1, orders: 2, goods: 2, money: 1 },
		bug: test.bug,
		faults: test.faults,
		...(test.bug ? { settleSeconds: BUG_SETTLE_SECONDS } : {}),
		print: () => undefined,
		onProgress: () => undefined,
	});
	const violated = [...new Set(findings.map(({ invariant }) => invariant))];
	const isExpected = test.violates ? violated.includes(test.violates) : violated.length === 0;
	return isExpected ? undefined : violated;
}
