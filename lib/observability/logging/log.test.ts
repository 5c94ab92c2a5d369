import { expect, test } from "@jest/globals";
import type { Context } from "moleculer";
import { ServiceBroker } from "moleculer";
import { microBatch } from "../../async/micro-batch.ts";
import { runInCall } from "../../context/call-context.ts";
import { runInTrace } from "../../context/traceparent.ts";
import { readEnv } from "../../settings/env.ts";
import { Log } from "./log.ts";
import { formatForTerminal } from "./pretty.ts";

type Line = Record<string, unknown>;
/** A broker whose log lines are collected. */
function start(source: Record<string, string> = {}) {
	const lines: Line[] = [];
	const env = readEnv({ NODE_ENV: "production", LOGLEVEL: "info", SERVICES: "orders", ...source });
	const logger = new Log(env, { write: (text) => void lines.push(JSON.parse(text)) });
	const broker = new ServiceBroker({ logger: logger as never });
	lines.length = 0;
	return { broker, lines };
}

test("a line has the standard fields, then its data", () => {
	const { broker, lines } = start();
	broker.getLogger("cache").warn("Redis is gone", { tries: 3 });
	expect(lines).toEqual([
		{
			level: "warn",
			timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
			logger: "cache",
			service: "orders",
			message: "Redis is gone",
			tries: 3,
		},
	]);
});

test("an error is logged with stack and cause, however passed, without other properties", () => {
	const { broker, lines } = start();
	const error = Object.assign(new Error("No", { cause: new Error("gone") }), {
		code: 409,
		sql: "select 1",
		parameters: ["x"],
	});
	broker.logger.error("It failed", { error });
	broker.logger.error("It failed", error);
	broker.logger.error(error);
	const logged = {
		name: "Error",
		message: "No",
		code: 409,
		stack: expect.stringContaining("log.test.ts"),
		cause: { message: "gone" },
	};
	expect(lines).toMatchObject([
		{ error: logged },
		{ error: logged },
		{ error: logged, message: "No" },
	]);
	expect(JSON.stringify(lines)).not.toMatch(/select 1|parameters/);
});

test("data does not overwrite the standard fields", () => {
	const { broker, lines } = start();
	broker.logger.info("Look", { level: 3, message: "mine", service: "shipping" });
	expect(lines[0]).toMatchObject({
		level: "info",
		message: "Look",
		service: "orders",
		its_level: 3,
		its_message: "mine",
		its_service: "shipping",
	});
});

test("lines below the level are not written", () => {
	const { broker, lines } = start({ LOGLEVEL: "warn" });
	broker.logger.info("hello");
	broker.logger.warn("look");
	expect(lines.map(({ message }) => message)).toEqual(["look"]);
});

const callOf = (requestID: string, id: string) =>
	({ requestID, meta: { user: { id } } }) as unknown as Context;

test("a line has the request, user and trace of its call, and none in a shared batch", async () => {
	const { broker, lines } = start();
	const logger = broker.getLogger("orders");
	const batched = microBatch(async (values: number[]) => {
		logger.info("batch");
		return values;
	});
	const handle = async () => {
		await new Promise(setImmediate);
		logger.info("call");
		await batched(1);
		logger.info("after");
	};
	const traces: Record<string, string> = {
		a: "4bf92f3577b34da6a3ce929d0e0e4736",
		b: "0af7651916cd43dd8448eb211c80319c",
	};
	const begin = (id: string) =>
		runInCall(callOf(`r-${id}`, `u-${id}`), () =>
			runInTrace(`00-${traces[id]}-00f067aa0ba902b7-01`, handle),
		);
	await Promise.all(["a", "b"].map(begin));
	const who = lines.map(({ message, request_id, user_id, trace_id }) => [
		message,
		request_id,
		user_id,
		trace_id,
	]);
	const of = (message: string, id: string) => [message, `r-${id}`, `u-${id}`, traces[id]];
	expect(who).toEqual([
		of("call", "a"),
		of("call", "b"),
		["batch", undefined, undefined, undefined],
		of("after", "a"),
		of("after", "b"),
	]);
});

test("secrets, names and addresses are hidden wherever they occur", () => {
	const { broker, lines } = start();
	const P = "PLANTED";
	const jwt = `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI${P}In0.${P}`;
	broker.logger.warn(`postgres://orders:${P}@db.example.com:5432/orders does not respond`);
	broker.logger.warn("A link", {
		url: `/verify?token=${P}&lang=en`,
		link: `http://shop/reset?reset_token=${P}#x`,
	});
	broker.logger.warn({
		headers: { authorization: `Bearer ${P}`, cookie: P },
		user: { email: P, full_name: P, nested: [{ shipping_address: P }] },
	});
	broker.logger.warn(`Bearer ${P}${P} and ${jwt} and Basic ${P}=`);
	broker.logger.error(
		new Error(
			`duplicate key: Key (email)=(${P}@example.com) already exists, ` +
				`mail to <${P}.x@mail.example.com>`,
		),
	);
	broker.logger.error("Broken", { error: new Error(`Unexpected end: {"password": "${P}`) });
	broker.logger.error("Refused", {
		error: Object.assign(new Error("No"), { data: { password: P }, fields: { email: P } }),
	});
	broker.logger.info(`{"current_password":"${P}","payment_token":"tok_${P}"}`, {
		payment_token: P,
		newPassword: P,
		apiKey: P,
		cardNumber: P,
	});
	broker.logger.info(`/api/users?email=${P}%40example.com`, new Map([["token", P]]));
	expect(lines).toHaveLength(9);
	expect(lines.filter((line) => JSON.stringify(line).includes(P))).toEqual([]);
	expect(lines[0]!.message).toBe("postgres://[hidden]@db.example.com:5432/orders does not respond");
	expect(lines[1]).toMatchObject({ url: "/verify?token=[hidden]&lang=en" });
});

test("values that JSON cannot represent are still logged", () => {
	const { broker, lines } = start();
	const circle: Record<string, unknown> = { n: 1n, when: new Date(0), nothing: undefined };
	circle.self = circle;
	broker.logger.info("\u001b[32mgreen\u001b[39m", 5, ["a", { b: 1 }], circle);
	broker.logger.error("odd", { error: Object.assign(new Error("x"), { message: undefined }) });
	broker.logger.error("worse", {
		get oops() {
			throw new Error("no");
		},
	});
	expect(lines.map(({ message }) => message).slice(1)).toEqual(["odd", "worse"]);
	expect(lines[0]).toMatchObject({
		message: 'green 5 ["a",{"b":1}]',
		n: "1",
		when: "1970-01-01T00:00:00.000Z",
	});
});

test("a terminal line has time, level, logger, message and fields, then the stack", () => {
	const line = {
		timestamp: "2026-01-01T12:34:56.789Z",
		level: "warn",
		logger: "orders",
		service: "orders",
		message: "Look",
		order_id: "7",
		n: { a: 1 },
	};
	expect(formatForTerminal(JSON.stringify(line), false)).toBe(
		'[12:34:56.789] WARN: orders Look {"order_id":"7","n":{"a":1}}\n',
	);
	const failed = formatForTerminal(
		JSON.stringify({
			...line,
			service: "shop",
			error: { message: "No", stack: "Error: No\n    at here" },
		}),
		true,
	);
	expect(failed).toMatch(/\n +Error: No\n +at here\n/);
	expect(failed).toContain("shop/orders");
});
