/** Node strips types, so no file is transformed. */
export default {
	testEnvironment: "./test/support/environment.ts",
	reporters: ["default", "./test/support/skip-reporter.ts"],
	transform: {},
	extensionsToTreatAsEsm: [".ts"],
	testMatch: ["**/*.test.ts"],
	modulePathIgnorePatterns: ["<rootDir>/.data", "<rootDir>/data"],
	globalSetup: "./test/support/global-setup.ts",
	globalTeardown: "./test/support/global-teardown.ts",
	testTimeout: 30000,
	maxWorkers: 2,
};
