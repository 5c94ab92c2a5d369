import type { ComponentChildren } from "preact";
import { messageOf } from "../api.ts";
import type { Resource } from "../data.ts";

export const Loading = () => (
	<p class="loading" role="status">
		Loading …
	</p>
);

export const Empty = ({ children }: { children: ComponentChildren }) => (
	<p class="empty">{children}</p>
);

/** An error with its next step. */
export function Failure({ error, retry }: { error: unknown; retry: () => void }) {
	return (
		<div class="failure" role="alert">
			<p>{messageOf(error)}</p>
			<button type="button" onClick={retry}>
				Retry
			</button>
		</div>
	);
}

interface LoadedProps<T> {
	readonly of: Resource<T>;
	children(data: T): ComponentChildren;
}
/**
 * Shows data, or that it is loading, or the error of its load. After a failed poll it shows the
 * previous data and the error.
 */
export function Loaded<T>({ of: { data, error, reload }, children }: LoadedProps<T>) {
	return (
		<>
			{error !== undefined && <Failure error={error} retry={reload} />}
			{data !== undefined ? children(data) : error === undefined && <Loading />}
		</>
	);
}
