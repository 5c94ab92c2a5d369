import { EventEmitter } from "node:events";
import { expect, test } from "@jest/globals";
import { recordedTraces } from "../../../test/support/recorded-traces.ts";
import type { Published } from "../routing/published.ts";
import type { Gateway, Request, Response } from "./exchange.ts";
import { trace } from "./request-traces.ts";

const sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const unsampled = sampled.replace(/01$/, "00");
const contract = { rest: "GET /users/:id", name: "users.get" } as Published;

/** Traces a request with this header; `close` ends its response. */
function handle(tracer: Gateway["tracer"], traceparent: string | undefined) {
	const ctx: Request["$ctx"] = { meta: {}, headers: {} };
	const req = {
		headers: { traceparent },
		startedAt: performance.now(),
		url: "/api/users/a-secret?q=secret",
	} as unknown as Request;
	const res = Object.assign(new EventEmitter(), { statusCode: 200, writableFinished: false });
	trace({ tracer } as Gateway, ctx, req, res as unknown as Response, contract);
	const close = (statusCode: number, writableFinished = true) =>
		Object.assign(res, { statusCode, writableFinished }).emit("close");
	return { headers: ctx.headers, close };
}

test("passes on a valid traceparent unchanged when tracing is off", () => {
	for (const traceparent of [sampled, unsampled])
		expect(handle(undefined, traceparent).headers).toEqual({ traceparent });
	for (const traceparent of [undefined, "00-0-0-01"])
		expect(handle(undefined, traceparent).headers).toEqual({});
});

test("records a span with route and status, and passes on its traceparent", () => {
	const traces = recordedTraces();
	const tracer = traces.of("api");
	const ends = [
		[200, true],
		[404, true],
		[503, true],
		[200, false],
	] as const;
	for (const [status, finished] of ends) {
		const { headers, close } = handle(tracer, sampled);
		expect(headers).toEqual({ traceparent: traces.spans.at(-1)!.traceparent });
		expect(traces.spans.at(-1)!.ended).toBe(false);
		close(status, finished);
	}
	expect(
		traces.spans.map(({ name, parent, attributes, ended }) => ({
			name,
			parent,
			ended,
			...attributes,
		})),
	).toEqual(
		ends.map(([status]) => ({
			name: "GET /api/users/:id",
			parent: sampled,
			ended: true,
			"http.request.method": "GET",
			"http.route": "/api/users/:id",
			"http.response.status_code": status,
		})),
	);
	expect(traces.spans.map(({ failure, notes }) => [failure, notes.length])).toEqual([
		[undefined, 0],
		[undefined, 0],
		["503", 0],
		[undefined, 1],
	]);
});

test("passes on an unsampled traceparent when the sampler drops the request", () => {
	const none = { enter: () => undefined, start: () => undefined };
	expect(handle(none, sampled).headers).toEqual({ traceparent: unsampled });
	expect(handle(none, undefined).headers).toEqual({});
});
