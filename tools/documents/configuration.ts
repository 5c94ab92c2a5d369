import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Rule } from "../../lib/contracts/schema.ts";
import { noArguments, readCommandLine } from "../../lib/process/command-line.ts";
import { runProgram } from "../../lib/process/lifecycle.ts";
import { settings } from "../../lib/settings/settings.ts";

/** Path of the document. */
export const path = join(import.meta.dirname, "../../docs/configuration.md");

const NOTE = "<!-- Generated from lib/settings/settings.ts by npm run docs:configuration. -->";
const INTRODUCTION = `${NOTE}

# Configuration

Every setting is an environment variable, declared in
[lib/settings/settings.ts](../lib/settings/settings.ts). An invalid value prevents the start with a
line that names it. An empty value counts as absent. A value can also come from a file that
\`NAME_FILE\` names, such as a container secret: \`JWT_SECRET_FILE=/run/secrets/jwt\`.
`;

/** The document, generated from the settings. */
export function configuration(): string {
	const items = Object.entries(settings as Record<string, Rule>).map(
		([name, rule]) =>
			`- \`${name}\` (${describeValues(rule)}${describeDefault(rule)}): ${rule.description}`,
	);
	return `${INTRODUCTION}\n${items.join("\n")}\n`;
}

function describeValues(rule: Rule): string {
	switch (rule.type) {
		case "enum":
			return rule.values.map((value) => `\`${value}\``).join(", ");
		case "number":
			return `${rule.integer ? "whole number" : "number"}${describeRange(rule.min, rule.max)}`;
		case "boolean":
			return "`true`, `false`";
		case "email":
			return "e-mail address";
		default:
			return "text";
	}
}

function describeRange(min: number | undefined, max: number | undefined): string {
	if (min !== undefined && max !== undefined) return `, ${min} to ${max}`;
	return min === undefined ? "" : `, at least ${min}`;
}

function describeDefault(rule: Rule): string {
	const value = "default" in rule ? rule.default : undefined;
	return value === undefined || value === "" ? "" : `; default \`${value}\``;
}

if (import.meta.main)
	runProgram("docs:configuration", async (program) => {
		await readCommandLine(
			program,
			noArguments(
				"npm run docs:configuration --",
				"Writes docs/configuration.md from lib/settings/settings.ts.",
			),
		);
		writeFileSync(path, configuration());
		await program.stop();
	});
