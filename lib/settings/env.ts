import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import FastestValidator from "fastest-validator";
import type { ServiceBroker } from "moleculer";
import { type Infer, validatorOptions } from "../contracts/schema.ts";
import { StartError } from "../process/start-error.ts";
import { settings } from "./settings.ts";

export type Env = Infer<typeof settings>;

const Validator = FastestValidator as unknown as typeof FastestValidator.default; // its typings and its module disagree
const { plugins, messages } = validatorOptions;
const check = new Validator({
	useNewCustomCheckerFunction: true,
	plugins,
	messages,
} as object).compile(structuredClone(settings) as never);

/**
 * Reads the settings out of `source` (names as in settings.ts; an empty value counts as absent).
 * @throws StartError naming each variable that is wrong or set twice, and its valid values
 */
export function readEnv(source: Readonly<Record<string, string | undefined>> = process.env): Env {
	const values: Record<string, unknown> = {};
	for (const name of Object.keys(settings)) {
		const [given, path] = [source[name], source[`${name}_FILE`]];
		if (given && path)
			throw new StartError(`${name} and ${name}_FILE are both set: unset one of them`);
		const text = given || fromFile(path, name);
		if (text) values[name] = text;
	}
	const verdict = check(values) as true | Problem[];
	if (verdict !== true) {
		const wrong = verdict.map(
			(problem) =>
				`${problem.field} ${requirement(problem)} (${settings[problem.field as keyof Env]?.description})`,
		);
		throw new StartError(`Wrong setting in the environment. ${wrong.join("; ")}`);
	}
	return values as Env;
}

interface Problem {
	readonly type: string;
	readonly field: string;
	readonly message: string;
	readonly expected?: unknown;
}

/** What a setting must be, as a predicate. It never contains the value, which may be a secret. */
function requirement({ type, message, expected }: Problem): string {
	switch (type) {
		case "enumValue":
			return `must be one of ${expected}`;
		case "stringPattern":
			return "has the wrong form";
		default:
			return message.replace(/^The '\w+' (field )?/, "").replace(/\.$/, "");
	}
}

function fromFile(path: string | undefined, name: string): string | undefined {
	if (!path) return undefined;
	try {
		return readFileSync(path, "utf8").trim();
	} catch (error) {
		throw new StartError(
			`${name}_FILE names a file that cannot be read: ${(error as Error).message}`,
		);
	}
}

const envs = new WeakMap<object, Env>();
/** Gives a broker settings of its own, so that several can live in one process. They are kept out of its options, which other nodes see. */
export const provideEnv = (broker: object, env: Env): void => void envs.set(broker, env);
/** The settings of the process, or those that this broker was given. */
export function envOf(broker: ServiceBroker | object): Env {
	const env = envs.get(broker) ?? readEnv();
	envs.set(broker, env);
	return env;
}

/** Where a user's programs keep what can be made anew (XDG Base Directory Specification). */
export const cacheFolder = (): string => process.env.XDG_CACHE_HOME || join(homedir(), ".cache");

/**
 * Removes libpq's variables (PGSSLMODE, PGOPTIONS, PGAPPNAME, …) from the environment of this process and its children. The pg package
 * reads them for each connection, and a user sets them for another server than the embedded one.
 */
export function dropLibpqVariables(): void {
	for (const name of Object.keys(process.env))
		if (/^PG[A-Z]+$/.test(name)) delete process.env[name];
}
