import { isTraceparent } from "../../../lib/context/traceparent.ts";
import type { Published } from "../routing/published.ts";
import type { Gateway, Request, Response } from "./exchange.ts";

/**
 * A request goes on in the trace that it says, or in one that begins here where there is tracing. Of the request its span shows what the contract knows: who
 * sent it, from where, and what it said is nobody else's business.
 */
export function trace(
	gateway: Gateway,
	ctx: Request["$ctx"],
	req: Request,
	res: Response,
	{ rest }: Published,
): void {
	// A malformed one is left out, as its specification wants it.
	const parent = isTraceparent(req.headers.traceparent) ? req.headers.traceparent : undefined;
	const route = rest.replace(" ", " /api");
	const span = gateway.tracer?.enter(route, parent, req.startedAt);
	// What is not recorded here need not be looked at behind.
	const traceparent = span?.traceparent ?? (gateway.tracer ? parent?.replace(/..$/, "00") : parent);
	if (traceparent) ctx.headers = { traceparent };
	if (!span) return;
	const [method, path] = route.split(" ");
	span.set({ "http.request.method": method, "http.route": path });
	res.once("close", () => {
		const { statusCode } = res;
		span.set({ "http.response.status_code": statusCode });
		if (statusCode >= 500) span.fail({ code: String(statusCode) });
		else if (!res.writableFinished) span.addEvent("the client went away");
		span.end();
	});
}
