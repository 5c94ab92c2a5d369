import { expect, test } from "@jest/globals";
import { isNodeFailure } from "./outages.ts";

const failure = (fields: object) => Object.assign(new Error("failed"), { nodeID: "n1", ...fields });

test.each([
	["an unexpected error", {}, true],
	["a lost database", { code: "57P01" }, true],
	["a missing table", { code: "42P01" }, true],
	["a number out of range", { code: "22003" }, false],
	["a violated constraint", { code: "23505" }, false],
	["text that is no query", { code: "42601" }, false],
	["a socket", { code: "EPIPE" }, true],
	["an error of the contract", { code: 409, type: "CONFLICT" }, false],
	["an overloaded node", { code: 429, type: "QUEUE_FULL" }, false],
])("whether %s (%j) counts against the called node: %s", (_, fields, expected) => {
	expect(isNodeFailure(failure(fields))).toBe(expected);
});
