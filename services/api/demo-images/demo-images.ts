import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Document, document } from "../documentation/documents.ts";

/** An SVG file can contain scripts; a browser that opens it must not run them. */
const HEADERS = {
	"Cache-Control": "public, max-age=86400",
	"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
};
const folder = import.meta.dirname;

/** Images of the demo catalogue, by route: one for each category of the first level. */
export const demoImages: Readonly<Record<string, () => Promise<Document>>> = Object.fromEntries(
	readdirSync(folder)
		.filter((file) => file.endsWith(".svg"))
		.map((file) => {
			const image = document(readFileSync(join(folder, file), "utf8"), "image/svg+xml", HEADERS);
			return [`GET /images/${file}`, async () => image];
		}),
);
