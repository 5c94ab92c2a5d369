import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import FastestValidator from "fastest-validator";
import type { ServiceBroker } from "moleculer";
import { type Infer, validatorOptions } from "./schema.ts";
import { settings } from "./settings.ts";
import { StartError } from "./start-error.ts";

export type Env = Infer<typeof settings>;

const Validator = FastestValidator as unknown as typeof FastestValidator.default; // its typings and its module disagree
const { plugins, messages } = validatorOptions;
const check = new Validator({ useNewCustomCheckerFunction: true, plugins, messages } as object).compile(structuredClone(settings) as never);

/**
 * Reads the settings out of `source` (names as in settings.ts; an empty value counts as absent).
 * @throws StartError naming each variable that is wrong and what it should be
 */
export function readEnv(source: Readonly<Record<string, string | undefined>> = process.env): Env {
	const values: Record<string, unknown> = {};
	for (const name of Object.keys(settings)) {
		const text = source[name] || fromFile(source[`${name}_FILE`], name);
		if (text) values[name] = text;
	}
	const verdict = check(values) as true | { field: string; message: string }[];
	if (verdict !== true) {
		const wrong = verdict.map(
			({ field, message }) => `${field}: ${message.replace(/^The '\w+' (field )?/, "it ")} (${settings[field as keyof Env]?.description})`,
		);
		throw new StartError(`Wrong setting in the environment. ${wrong.join("; ")}`);
	}
	return values as Env;
}

function fromFile(path: string | undefined, name: string): string | undefined {
	if (!path) return undefined;
	try {
		return readFileSync(path, "utf8").trim();
	} catch (error) {
		throw new StartError(`${name}_FILE names a file that cannot be read: ${(error as Error).message}`);
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
