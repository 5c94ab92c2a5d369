import { createHash } from "node:crypto";

/** The strong entity tag (RFC 9110, 8.8.3) of an answer: equal exactly when all its fields are, in whichever order they come. */
export function etagOf(answer: object): string {
	const sorted = Object.entries(answer).sort(([a], [b]) => (a < b ? -1 : 1));
	return `"${createHash("sha256").update(JSON.stringify(sorted)).digest("base64url").slice(0, 27)}"`;
}

const TAGS = /^\*$|^(W\/)?"[\x21\x23-\x7e]*"( *, *(W\/)?"[\x21\x23-\x7e]*")*$/;
/** Whether this can be the value of If-Match or If-None-Match. */
export const isEntityTagList = (header: string): boolean =>
	header.length <= 1000 && TAGS.test(header);

/** Whether a header names this tag. A weak one (`W/…`) says only that the two mean the same, which is enough to save an answer, not to change anything. */
export function matchesEtag(header: string, etag: string, compare: "strong" | "weak"): boolean {
	if (header === "*") return true;
	const tags = header.match(/(W\/)?"[^"]*"/g) ?? [];
	return tags.some((tag) => tag === etag || (compare === "weak" && tag === `W/${etag}`));
}
