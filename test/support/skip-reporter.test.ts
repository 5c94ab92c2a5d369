import { expect, test } from "@jest/globals";
import { withReason } from "./skip.ts";
import { describeSkipped } from "./skip-reporter.ts";

const PROMETHEUS = "prometheus is not installed (apt-get install prometheus)";

test("the summary counts skipped tests by reason in one line", () => {
	const alerts = [1, 2].map((n) => `${withReason("alerts", PROMETHEUS)} rule ${n}`);
	expect(describeSkipped(alerts)).toBe(`2 tests skipped: ${PROMETHEUS}`);
	expect(describeSkipped([...alerts, withReason("root", "they need root (run as root)")])).toBe(
		`3 tests skipped: ${PROMETHEUS} (2); they need root (run as root) (1)`,
	);
});

test("there is no summary without skipped tests, or for tests that -t filters out", () => {
	expect(describeSkipped([])).toBeUndefined();
	expect(describeSkipped(["alerts rule 1"])).toBeUndefined();
});
