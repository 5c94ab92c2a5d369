import { isTraceparent } from "../../../lib/context/traceparent.ts";
import type { Published } from "../routing/published.ts";
import type { Gateway, Request, Response } from "./exchange.ts";

/**
 * Continues the request's trace, or starts one if tracing is on. The span contains the route and
 * the status, but no data of the client, its address or the request.
 */
export function trace(
	gateway: Gateway,
	ctx: Request["$ctx"],
	req: Request,
	res: Response,
	{ rest }: Published,
): void {
	// A malformed traceparent is ignored, as its specification requires.
	const parent = isTraceparent(req.headers.traceparent) ? req.headers.traceparent : undefined;
	const route = rest.replace(" ", " /api");
	const span = gateway.tracer?.enter(route, parent, req.startedAt);
	// Services do not record requests that the gateway has not sampled.
	const traceparent = span?.traceparent ?? (gateway.tracer ? parent?.replace(/..$/, "00") : parent);
	if (traceparent) ctx.headers = { traceparent };
	if (!span) return;
	const [method, path] = route.split(" ");
	span.set({ "http.request.method": method, "http.route": path });
	res.once("close", () => {
		const { statusCode } = res;
		span.set({ "http.response.status_code": statusCode });
		if (statusCode >= 500) span.fail({ code: String(statusCode) });
		else if (!res.writableFinished) span.addEvent("client disconnected");
		span.end();
	});
}
