import { createHash } from "node:crypto";

/**
 * Strong entity tag (RFC 9110, 8.8.3) of a response body. Equal fields give the same tag in any
 * order.
 */
export function etagOf(body: object): string {
	const sorted = Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1));
	const digest = createHash("sha256").update(JSON.stringify(sorted)).digest("base64url");
	return `"${digest.slice(0, 27)}"`;
}

const TAGS = /^\*$|^(W\/)?"[\x21\x23-\x7e]*"( *, *(W\/)?"[\x21\x23-\x7e]*")*$/;
/** Whether text is a valid value of If-Match or If-None-Match. */
export const isEntityTagList = (header: string): boolean =>
	header.length <= 1000 && TAGS.test(header);

/**
 * Whether a header contains a tag. Weak comparison also accepts `W/…`; it is sufficient for
 * If-None-Match, but not for If-Match.
 */
export function matchesEtag(header: string, etag: string, compare: "strong" | "weak"): boolean {
	if (header === "*") return true;
	const tags = header.match(/(W\/)?"[^"]*"/g) ?? [];
	return tags.some((tag) => tag === etag || (compare === "weak" && tag === `W/${etag}`));
}
