import { expect, test } from "@jest/globals";
import { withReason } from "./skip.ts";
import { describeSkipped } from "./skip-reporter.ts";

const PROMETHEUS = "prometheus is not installed (apt-get install prometheus)";

test("skipped tests are counted by their reasons in one line", () => {
	const alerts = [1, 2].map((n) => `${withReason("alerts", PROMETHEUS)} rule ${n}`);
	expect(describeSkipped(alerts)).toBe(`2 tests skipped: ${PROMETHEUS}`);
	expect(describeSkipped([...alerts, withReason("root", "they need root (run as root)")])).toBe(
		`3 tests skipped: ${PROMETHEUS} (2); they need root (run as root) (1)`,
	);
});

test("nothing is printed without skipped tests, or for tests that -t filters out", () => {
	expect(describeSkipped([])).toBeUndefined();
	expect(describeSkipped(["alerts rule 1"])).toBeUndefined();
});
