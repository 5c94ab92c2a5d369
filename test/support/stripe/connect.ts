import { request } from "node:http";
import type { Controls } from "./controls.ts";

/**
 * The test controls of a stand-in that runs in another process. Each is one HTTP request.
 * @param url of the stand-in
 * @throws Error with the stand-in's message, from each control
 */
export function connectStripe(url: string): Controls {
	return new Proxy({} as Controls, {
		get: (_, name) =>
			// A value with a method `then` would count as a promise.
			typeof name === "symbol" || name === "then"
				? undefined
				: (...parameters: unknown[]) => post(new URL(`/test/controls/${name}`, url), parameters),
	});
}

async function post(url: URL, parameters: unknown[]): Promise<unknown> {
	const text = await new Promise<string>((resolve, reject) => {
		const sent = request(url, { method: "POST", agent: false }, (response) => {
			const chunks: Buffer[] = [];
			response.on("data", (chunk: Buffer) => chunks.push(chunk));
			response.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
			response.on("error", reject);
		});
		sent.on("error", reject);
		sent.end(JSON.stringify(parameters));
	});
	const { result, error } = JSON.parse(text) as { result?: unknown; error?: string };
	if (error) throw new Error(error);
	return result === null ? undefined : result;
}
