/** A point at which requests wait while it is closed. */
export function createGate() {
	let opened: PromiseWithResolvers<void> | undefined;
	return {
		pause(): void {
			opened ??= Promise.withResolvers<void>();
		},
		resume(): void {
			opened?.resolve();
			opened = undefined;
		},
		passed: (): Promise<void> | undefined => opened?.promise,
	};
}
export type Gate = ReturnType<typeof createGate>;
