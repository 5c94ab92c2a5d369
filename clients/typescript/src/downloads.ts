/** File of a response. Read either `body` or one of the methods, once. */
export interface Download {
	/** File name with extension. */
	readonly name: string;
	/** Media type. */
	readonly type: string;
	/** Number of rows; an estimate above 10,000. */
	readonly rows: number | undefined;
	/** Fails if the connection is lost before the end of the file. */
	readonly body: ReadableStream<Uint8Array>;
	text(): Promise<string>;
	blob(): Promise<Blob>;
}

export function toDownload(response: Response): Download {
	const { headers } = response;
	const rows = headers.get("x-total-count");
	return {
		name: /filename="([^"]+)"/.exec(headers.get("content-disposition") ?? "")?.[1] ?? "download",
		type: (headers.get("content-type") ?? "application/octet-stream").split(";")[0]!,
		rows: rows === null ? undefined : Number(rows),
		body: response.body as ReadableStream<Uint8Array>,
		text: () => response.text(),
		blob: () => response.blob(),
	};
}
