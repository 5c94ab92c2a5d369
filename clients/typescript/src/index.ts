export type { ActionName, CodeOf, ProblemCode } from "./actions.ts";
export { type Client, type ClientOptions, createClient } from "./client.ts";
export type { Download } from "./downloads.ts";
export type { EventStream, StreamEvent, StreamOptions } from "./event-streams.ts";
export type { RequestOptions } from "./options.ts";
export type { Page, Rows } from "./pages.ts";
export {
	type FieldError,
	isProblem,
	NetworkError,
	ProblemError,
	SessionEndedError,
} from "./problems.ts";
export type { ApiResponse, Result } from "./result.ts";
export type { TokenStore, Tokens } from "./session.ts";
export type { ParamsOf, ResultOf } from "./types.ts";
export type {
	RowError,
	Upload,
	UploadFile,
	UploadOptions,
	UploadProgress,
	UploadSummary,
} from "./uploads.ts";
