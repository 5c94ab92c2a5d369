import { titleOf } from "../http/problem-details.ts";

/** Format of all codes, including those of fields. */
const CODE = "^[A-Z][A-Z0-9_]*$";

/** Schema of problem details (RFC 9457). Errors may have additional members. */
export const problemSchema = {
	type: "object",
	required: ["type", "title", "status", "detail", "code", "request_id"],
	properties: {
		type: {
			type: "string",
			format: "uri-reference",
			description: "Section of the code in the error reference",
		},
		title: { type: "string" },
		status: { type: "integer", minimum: 400, maximum: 599 },
		detail: { type: "string" },
		code: {
			type: "string",
			pattern: CODE,
			description: "Stable code; use only this member in programs",
		},
		request_id: { type: "string" },
		service: { type: "string", description: "Of some 503: the service that is unavailable" },
		errors: {
			type: "array",
			items: {
				type: "object",
				required: ["field", "message", "code"],
				properties: {
					field: { type: "string" },
					message: { type: "string" },
					code: { type: "string", pattern: CODE },
				},
				additionalProperties: false,
			},
		},
	},
};

/** Creates an example of a problem document. */
export const problemExample = (
	code: string,
	{ status, message }: { status: number; message: string },
): object => ({
	type: `/docs/errors#${code}`,
	title: titleOf(code),
	status,
	detail: message,
	code,
	request_id: "5b0e2f6c-8a53-4c0b-9d4f-1f1a6f0c9b11",
	...(code === "VALIDATION_ERROR"
		? { errors: [{ field: "name", message: "The 'name' field is required.", code: "REQUIRED" }] }
		: {}),
});
