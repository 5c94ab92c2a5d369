/** Node strips the types itself, so nothing is transformed. */
export default {
	testEnvironment: "node",
	transform: {},
	extensionsToTreatAsEsm: [".ts"],
	testMatch: ["**/*.test.ts"],
	modulePathIgnorePatterns: ["<rootDir>/.data", "<rootDir>/data"],
	testTimeout: 30000,
	maxWorkers: 2,
};
