import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import FastestValidator from "fastest-validator";
import type { ServiceBroker } from "moleculer";
import { type Infer, validatorOptions } from "../contracts/schema.ts";
import { StartError } from "../process/start-error.ts";
import { settings } from "./settings.ts";

export type Env = Infer<typeof settings>;

// The typings of the package do not match its module.
const Validator = FastestValidator as unknown as typeof FastestValidator.default;
const { plugins, messages } = validatorOptions;
const check = new Validator({
	useNewCustomCheckerFunction: true,
	plugins,
	messages,
} as object).compile(structuredClone(settings) as never);

/**
 * Reads and validates the settings. An empty value counts as absent.
 *
 * @throws StartError that names each variable that is invalid or set twice, and its valid values
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
	const result = check(values) as true | Problem[];
	if (result !== true) {
		const invalid = result.map(
			(problem) =>
				`${problem.field} ${requirement(problem)} ` +
				`(${settings[problem.field as keyof Env]?.description})`,
		);
		throw new StartError(`Invalid setting in the environment. ${invalid.join("; ")}`);
	}
	return values as Env;
}

interface Problem {
	readonly type: string;
	readonly field: string;
	readonly message: string;
	readonly expected?: unknown;
}

/** Describes the valid values of a setting, without its value, which may be a secret. */
function requirement({ type, message, expected }: Problem): string {
	switch (type) {
		case "enumValue":
			return `must be one of ${expected}`;
		case "stringPattern":
			return "has an invalid format";
		default:
			return message.replace(/^The '\w+' (field )?/, "").replace(/\.$/, "");
	}
}

function fromFile(path: string | undefined, name: string): string | undefined {
	if (!path) return undefined;
	try {
		return readFileSync(path, "utf8").trim();
	} catch (error) {
		throw new StartError(`Cannot read the file in ${name}_FILE: ${(error as Error).message}`);
	}
}

const envs = new WeakMap<object, Env>();
/**
 * Assigns settings to a broker, so that several brokers can run in one process. The settings are
 * not part of the broker's options, because other nodes can read those.
 */
export const provideEnv = (broker: object, env: Env): void => void envs.set(broker, env);
/** Settings of a broker; by default those of the process. */
export function envOf(broker: ServiceBroker | object): Env {
	const env = envs.get(broker) ?? readEnv();
	envs.set(broker, env);
	return env;
}

/** Cache folder of the user (XDG Base Directory Specification). */
export const cacheFolder = (): string => process.env.XDG_CACHE_HOME || join(homedir(), ".cache");

/**
 * Removes the variables of libpq (PGSSLMODE, PGOPTIONS, PGAPPNAME, …) from the environment of this
 * process and its children. The pg package reads them for each connection, but users set them for
 * other servers than the embedded one.
 */
export function dropLibpqVariables(): void {
	for (const name of Object.keys(process.env))
		if (/^PG[A-Z]+$/.test(name)) delete process.env[name];
}
