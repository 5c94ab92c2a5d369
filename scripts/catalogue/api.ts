import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { StartError } from "../../lib/process/start-error.ts";

/** A file, and the shop that reads or writes it. */
export interface Transfer {
	readonly url: string;
	readonly token: string;
	readonly file: string;
	readonly format: FileFormat;
	/** Receives the progress: parts done, all parts, and rows so far. */
	show(done: number, total: number, rows: number): void;
}
interface FileFormat {
	readonly name: "csv" | "ndjson";
	readonly type: string;
	readonly zipped: boolean;
}

/** @throws Error if the name of a file ends with no known format */
export function formatOf(file: string): FileFormat {
	const match = /\.(csv|ndjson|jsonl)(\.gz)?$/i.exec(file);
	if (!match) throw new Error(`The name of the file must end with .csv or .ndjson, not "${file}"`);
	const name = match[1]!.toLowerCase() === "csv" ? "csv" : "ndjson";
	const type = name === "csv" ? "text/csv" : "application/x-ndjson";
	return { name, type, zipped: match[2] !== undefined };
}

/** Opens a request to the shop. `response` rejects if no response arrives. */
export function open(url: string, options: RequestOptions) {
	const send = url.startsWith("https:") ? httpsRequest : httpRequest;
	const req = send(url, options);
	const response = new Promise<IncomingMessage>((resolve, reject) => {
		req.once("response", resolve);
		// Permanent: the shop may close the connection after its response.
		req.on("error", (error) => reject(new StartError(`${url} did not respond: ${error.message}`)));
	});
	return { req, response };
}

/** @throws StartError with the detail of a problem unless the response is successful */
export async function assertSuccess(response: IncomingMessage): Promise<void> {
	if (response.statusCode === 200) return;
	const { detail, errors = [] } = parse(await textOf(response));
	const details = errors.map(({ message }) => message);
	throw new StartError(
		[`The shop responded with ${response.statusCode}`, detail, ...details]
			.filter(Boolean)
			.join(": "),
	);
}
interface Problem {
	readonly detail?: string;
	readonly errors?: readonly { readonly message: string }[];
}
function parse(text: string): Problem {
	try {
		return JSON.parse(text) as Problem;
	} catch {
		return {};
	}
}

async function textOf(response: IncomingMessage): Promise<string> {
	let text = "";
	for await (const chunk of response.setEncoding("utf8")) text += chunk;
	return text;
}

/** Logs in and returns the access token. */
export async function logIn(url: string, email: string, password: string): Promise<string> {
	const { req, response } = open(`${url}/api/users/login`, {
		method: "POST",
		headers: { "content-type": "application/json" },
	});
	req.end(JSON.stringify({ email, password }));
	const res = await response;
	await assertSuccess(res);
	return (JSON.parse(await textOf(res)) as { access_token: string }).access_token;
}
