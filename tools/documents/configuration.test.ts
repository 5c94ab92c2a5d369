import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { configuration, path } from "./configuration.ts";
import * as metrics from "./metrics.ts";

test("docs/configuration.md is up to date: npm run docs:configuration", () => {
	expect(readFileSync(path, "utf8")).toBe(configuration());
});

test("docs/metrics.md is up to date: npm run docs:metrics", async () => {
	expect(readFileSync(metrics.path, "utf8")).toBe(await metrics.document());
});
