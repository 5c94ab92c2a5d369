import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { shop } from "../../api.ts";
import { ActionButton } from "../../components/action-button.tsx";
import { describe, resultOf, type Selection } from "./selection.ts";

interface SelectionButtonProps {
	readonly of: Selection;
	onSettled(): void;
}
const isEmpty = (selection: Selection): boolean => Object.keys(selection).length === 0;

/** Retries all dead letters of a selection. */
export const RetryButton = ({ of: selection, onSettled }: SelectionButtonProps) => (
	<ActionButton
		act={() => shop.operations.retry(isEmpty(selection) ? { all: true } : selection)}
		done={(result) => resultOf("retried", result)}
		confirm={{
			title: "Retry the dead letters?",
			text: `This retries ${describe(selection)}, each with all attempts.`,
			action: "Retry all",
			harmless: true,
		}}
		onSettled={onSettled}
	>
		Retry all …
	</ActionButton>
);

/** Discards all dead letters of a selection. */
export const DiscardButton = ({ of: selection, onSettled }: SelectionButtonProps) => (
	<ActionButton
		act={() => shop.operations.discard(isEmpty(selection) ? { all: true } : selection)}
		done={(result) => resultOf("discarded", result)}
		confirm={{
			title: "Discard the dead letters?",
			text:
				`This discards ${describe(selection)}. ` +
				"The services never process these events. This cannot be undone.",
			action: "Discard all",
		}}
		onSettled={onSettled}
	>
		Discard all …
	</ActionButton>
);

type DeadLetter = ResultOf<"operations.getDeadLetter">;
interface DeadLetterActionsProps {
	readonly of: DeadLetter;
	/** Is called after the event was retried or discarded. */
	onDone(): void;
}
/** Buttons that retry and discard one dead letter. An invalid message has no type and no retry. */
export function DeadLetterActions({ of: letter, onDone }: DeadLetterActionsProps) {
	const { service, event_id, type } = letter;
	const one = { service, event_id };
	const change = async (action: "retry" | "discard"): Promise<number> => {
		const { count, unavailable } = await shop.operations[action](one);
		if (unavailable.length > 0) throw new Error(`${service} does not respond`);
		onDone();
		return count;
	};
	const gone = "The event was no longer a dead letter.";
	return (
		<>
			{type !== "" && (
				<ActionButton
					act={() => change("retry")}
					done={(count) => (count > 0 ? "The event is retried." : gone)}
				>
					Retry
				</ActionButton>
			)}
			<ActionButton
				act={() => change("discard")}
				done={(count) => (count > 0 ? "The event is discarded." : gone)}
				confirm={{
					title: "Discard the event?",
					text: `${service} never processes this event. This cannot be undone.`,
					action: "Discard",
				}}
			>
				Discard …
			</ActionButton>
		</>
	);
}
