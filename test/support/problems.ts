import type { HttpResponse } from "./http.ts";

/** Status, code, and the fields with their violated rules of a problem document. */
export const summarizeProblem = ({ status, body }: HttpResponse) => [
	status,
	body.code,
	body.errors?.map(({ field, code }: Record<string, string>) => [field, code]),
];
