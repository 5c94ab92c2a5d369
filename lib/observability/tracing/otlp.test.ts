import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { eventually } from "../../../test/support/eventually.ts";
import { type Receiver, startReceiver } from "../../../test/support/otlp-receiver.ts";
import { readEnv } from "../../settings/env.ts";
import { openTracing } from "./open-tracing.ts";
import { exportTarget, resourceAttributes } from "./options.ts";

const ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const [sampled, unsampled] = ["01", "00"].map((flags) => `00-${ID}-00f067aa0ba902b7-${flags}`) as [
	string,
	string,
];

let receiver: Receiver;
beforeEach(async () => {
	receiver = await startReceiver();
});
afterEach(() => receiver.stop());
const open = async (settings: Record<string, string> = {}) => {
	const env = readEnv({
		OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
		OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
		...settings,
	});
	return (await openTracing(env, "node-1"))!;
};

test("tracing is on only if an endpoint is set and it is not disabled", async () => {
	expect(await openTracing(readEnv({}), "node-1")).toBeUndefined();
	expect(
		await openTracing(
			readEnv({ OTEL_SDK_DISABLED: "true", OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }),
			"node-1",
		),
	).toBeUndefined();
	const tracing = (await openTracing(
		readEnv({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/v1/traces` }),
		"node-1",
	))!;
	expect(tracing.instance).toBe("node-1");
	await tracing.close();
	for (const wrong of [
		{ OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" },
		{ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
		{ OTEL_TRACES_SAMPLER: "some" },
		{ OTEL_EXPORTER_OTLP_HEADERS: "authorization=50%" },
	])
		expect(() => readEnv(wrong)).toThrow(Object.keys(wrong)[0]!);
});

test("headers and resource attributes are percent-encoded lists, overridden by settings", () => {
	const env = readEnv({
		NODE_ENV: "production",
		OTEL_EXPORTER_OTLP_ENDPOINT: "https://collector.example:4318/otlp/",
		OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20one, x = 1 ,key=a=b,",
		OTEL_EXPORTER_OTLP_TRACES_HEADERS: "x=2",
		OTEL_RESOURCE_ATTRIBUTES: "service.version=7,team=shop,service.name=theirs",
	});
	expect(exportTarget(env)).toEqual({
		url: "https://collector.example:4318/otlp/v1/traces",
		headers: { authorization: "Bearer one", x: "2", key: "a=b" },
	});
	expect(resourceAttributes(env, "orders", "node-1")).toMatchObject({
		"service.name": "theirs",
		"service.version": "7",
		team: "shop",
	});
	expect(resourceAttributes(env, "orders", "node-1")["deployment.environment"]).toBe("production");
	expect(
		resourceAttributes({ ...env, OTEL_SERVICE_NAME: "ours" }, "orders", "node-1")["service.name"],
	).toBe("ours");
	expect(resourceAttributes(readEnv({}), "orders", "node-1")["service.name"]).toBe("orders");
});

test.each([
	["always_on", "1", [true, true, true]],
	["always_off", "1", [false, false, false]],
	["traceidratio", "0", [false, false, false]],
	["traceidratio", "1", [true, true, true]],
	["parentbased_always_on", "1", [true, true, false]],
	["parentbased_always_off", "1", [false, true, false]],
	["parentbased_traceidratio", "0", [false, true, false]],
])(
	"%s at %s: a request without a trace, in a sampled one, in an unsampled one: %j",
	async (sampler, share, expected) => {
		const tracing = await open({ OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: share });
		const tracer = tracing.of("api");
		const entered = [undefined, sampled, unsampled].map((parent) =>
			tracer.enter("GET /", parent, performance.now()),
		);
		expect(entered.map((span) => span !== undefined)).toEqual(expected);
		for (const span of entered)
			if (span)
				expect(tracer.start("below", "internal", span.traceparent)?.traceparent).toMatch(/-01$/);
		expect(tracer.start("below", "internal", unsampled)).toBeUndefined();
		await tracing.close();
	},
);

test("closing exports the remaining spans with headers and service names", async () => {
	const tracing = await open({ OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20one" });
	const startedAt = performance.now();
	const request = tracing.of("api").enter("GET /", sampled, startedAt)!;
	const query = tracing
		.of("orders")
		.start("find", "client", request.traceparent, { "db.system": "postgresql" })!;
	query.addEvent("retry", { try: 2 });
	query.fail(Object.assign(new Error("secret message"), { code: "23505" }));
	for (const span of [query, request]) span.end();
	expect(receiver.spans).toEqual([]);
	await Promise.all([tracing.close(), tracing.close()]);
	expect(receiver.headers[0]!.authorization).toBe("Bearer one");
	const [find, get] = [...receiver.spans].sort((a, b) => (a.name < b.name ? 1 : -1));
	expect(get).toMatchObject({
		service: "api",
		kind: "server",
		name: "GET /",
		trace: ID,
		parent: "00f067aa0ba902b7",
		failed: false,
	});
	expect(find).toMatchObject({
		service: "orders",
		kind: "client",
		parent: get!.id,
		failed: true,
		attributes: { "db.system": "postgresql", "error.type": "23505" },
		events: [{ name: "retry", attributes: { try: 2 } }],
	});
	expect(receiver.bodies.join()).not.toContain("secret message");
});

test("traces are exported as protobuf by default", async () => {
	const tracing = await open({ OTEL_EXPORTER_OTLP_PROTOCOL: "" });
	tracing.of("api").enter("GET /", undefined, performance.now())!.end();
	await tracing.close();
	expect(receiver.headers.map((headers) => headers["content-type"])).toEqual([
		"application/x-protobuf",
	]);
	expect(receiver.bodies[0]).toContain("service.name");
});

test("an unreachable collector is reported once and delays nothing", async () => {
	const tracing = await open();
	const errors: unknown[] = [];
	tracing.onExportError((error) => errors.push(error));
	await receiver.stop();
	for (let i = 0; i < 600; i++)
		tracing.of("api").enter("GET /", undefined, performance.now())!.end();
	const closing = tracing.close();
	await eventually(() => expect(errors).toHaveLength(1));
	await closing;
	expect(errors).toHaveLength(1);
});
