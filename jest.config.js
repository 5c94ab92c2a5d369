import { spawnSync } from "node:child_process";

const begun = performance.now();
spawnSync(process.execPath, ["--eval", ""]);
/** Milliseconds of starting a process: above 100 in some virtual machines. */
const startMs = performance.now() - begun;

/** Node strips types, so no file is transformed. */
export default {
	testEnvironment: "./test/support/environment.ts",
	testRunner: "./test/support/test-runner.ts",
	testSequencer: "./test/support/sequencer.ts",
	reporters: ["default", "./test/support/skip-reporter.ts"],
	transform: {},
	testMatch: ["**/*.test.ts"],
	modulePathIgnorePatterns: ["<rootDir>/.data", "<rootDir>/data"],
	globalSetup: "./test/support/global-setup.ts",
	globalTeardown: "./test/support/global-teardown.ts",
	injectGlobals: false,
	// Ends a test that hangs. Machines differ in speed, and tests share the CPUs.
	testTimeout: 600_000,
	// Most tests wait for processes. Where starting one is expensive, these compete for the CPUs, and
	// more files at a time make the run longer.
	maxWorkers: startMs < 80 ? 7 : 4,
};
