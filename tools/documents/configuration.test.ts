import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { configuration, path } from "./configuration.ts";
import * as metrics from "./metrics.ts";

test("docs/configuration.md is what npm run docs:configuration makes of lib/settings/settings.ts", () => {
	expect(readFileSync(path, "utf8")).toBe(configuration());
});

test("docs/metrics.md is what npm run docs:metrics makes of the metrics that are declared", async () => {
	expect(readFileSync(metrics.path, "utf8")).toBe(await metrics.document());
});
