import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { configuration, path } from "../scripts/configuration.ts";

test("docs/configuration.md is what npm run docs:configuration makes of lib/settings.ts", () => {
	expect(readFileSync(path, "utf8")).toBe(configuration());
});
