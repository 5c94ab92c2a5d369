import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "@jest/globals";
import { sendProblem, startServer, type TestServer } from "../test/server.ts";
import { type Client, createClient, isProblem, NetworkError } from "./index.ts";

let server: TestServer | undefined;
afterEach(async () => {
	await server?.stop();
	server = undefined;
});

const csv = "sku,name\nA,Tea\n";
const options = { format: "csv" } as const;
const summary = { created: 1, updated: 0, unchanged: 0, failed: 0, errors: [] };
/** Starts a server that responds in these ways, one after another. */
async function clientOf(...ways: ((response: ServerResponse) => unknown)[]): Promise<Client> {
	server = await startServer((_, response, earlier) => ways[earlier]!(response));
	return createClient({ url: server.url });
}
const sends =
	(...lines: object[]) =>
	(response: ServerResponse) => {
		response.writeHead(200, { "content-type": "application/x-ndjson" });
		response.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
	};
const streamOf = (...chunks: string[]) =>
	new ReadableStream<Uint8Array>({
		start(controller) {
			for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
			controller.close();
		},
	});
const failure = async (promise: PromiseLike<unknown>): Promise<unknown> => {
	try {
		await promise;
	} catch (error) {
		return error;
	}
	throw new Error("No error");
};

describe("an upload", () => {
	test.each([
		["a text", () => csv],
		["bytes", () => new TextEncoder().encode(csv)],
		["a blob", () => new Blob([csv])],
		["a stream", () => streamOf("sku,name\n", "A,Tea\n")],
	])("sends %s and returns the summary", async (_, file) => {
		const shop = await clientOf(sends({ rows: 1 }, { done: true, ...summary }));
		const upload = shop.products.importRows(file(), { ...options, encoding: "gzip" });
		expect(await upload).toEqual({ done: true, ...summary });
		expect(await upload).toEqual({ done: true, ...summary });
		expect(server!.requests).toMatchObject([
			{
				path: "/api/products/import",
				body: csv,
				headers: { "content-type": "text/csv", "content-encoding": "gzip" },
			},
		]);
	});

	test("returns the progress while the file is sent", async () => {
		const sent = new TransformStream<Uint8Array, Uint8Array>();
		const writer = sent.writable.getWriter();
		// Responds to each chunk while the request is still being received.
		const gateway = createServer((req, res) => {
			let rows = 0;
			req.on("data", () => res.write(`${JSON.stringify({ rows: ++rows })}\n`));
			req.on("end", () => res.end(`${JSON.stringify({ done: true, ...summary })}\n`));
		});
		await once(gateway.listen(0, "127.0.0.1"), "listening");
		const url = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;
		const lines: object[] = [];
		void writer.write(new TextEncoder().encode("1"));
		for await (const line of createClient({ url }).products.importRows(sent.readable, options)) {
			lines.push(line);
			if (lines.length === 1) void writer.write(new TextEncoder().encode("2"));
			if (lines.length === 2) void writer.close();
		}
		expect(lines).toEqual([{ rows: 1 }, { rows: 2 }, { done: true, ...summary }]);
		gateway.closeAllConnections();
		gateway.close();
	});

	test("fails with the problem of an incomplete import", async () => {
		const stopped = { done: false, code: "SERVICE_UNAVAILABLE", detail: "Stopped", ...summary };
		const shop = await clientOf(sends({ rows: 1 }, stopped));
		const error = await failure(shop.products.importRows(csv, options));
		expect(isProblem(error, "SERVICE_UNAVAILABLE") && error.data.created).toBe(1);
	});

	test.each([
		["ends without a summary", (response: ServerResponse) => response.end()],
		["is cut", (response: ServerResponse) => response.destroy()],
	])("fails if its response %s", async (_, end) => {
		const shop = await clientOf((response) => {
			response.writeHead(200).write('{"rows":1}\n', () => end(response));
		});
		const upload = shop.products.importRows(csv, options);
		expect(await failure(upload)).toBeInstanceOf(NetworkError);
	});

	test("is repeated while other files are being imported, unless it is a stream", async () => {
		const busy = (response: ServerResponse) =>
			sendProblem(response, 429, "RATE_LIMITED", { headers: { "retry-after": "0" } });
		const shop = await clientOf(busy, sends({ done: true, ...summary }), busy);
		expect(await shop.products.importRows(new Blob([csv]), options)).toMatchObject(summary);
		const error = await failure(shop.products.importRows(streamOf(csv), options));
		expect(isProblem(error, "RATE_LIMITED")).toBe(true);
		expect(server!.requests.map(({ body }) => body)).toEqual([csv, csv, csv]);
	});

	test("is cancelled when its loop is left", async () => {
		const closed = Promise.withResolvers<unknown>();
		const shop = await clientOf((response) => {
			closed.resolve(once(response, "close"));
			response.writeHead(200).write('{"rows":1}\n');
		});
		const upload = shop.products.importRows(csv, options);
		for await (const _ of upload) break;
		await closed.promise;
		expect(await failure(upload)).toMatchObject({ message: "The upload was cancelled" });
	});
});

describe("a download", () => {
	const head = {
		"content-type": "text/csv; charset=utf-8",
		"content-disposition": 'attachment; filename="products.csv"',
		"x-total-count": "12",
	};
	test("has a name, a media type, a number of rows and a body", async () => {
		const shop = await clientOf((response) => response.writeHead(200, head).end(csv));
		const file = await shop.products.exportRows({ format: "csv" });
		expect(file).toMatchObject({ name: "products.csv", type: "text/csv", rows: 12 });
		expect(await file.text()).toBe(csv);
		expect(server!.requests[0]!.path).toBe("/api/products/export?format=csv");
	});

	test("fails if the connection is lost before the end of the file", async () => {
		const shop = await clientOf((response) => {
			response.writeHead(200, head).write(csv, () => response.destroy());
		});
		const { body } = await shop.products.exportRows();
		const reader = body.getReader();
		expect((await reader.read()).value?.length).toBe(csv.length);
		expect(await failure(reader.read())).toBeInstanceOf(TypeError);
	});
});
