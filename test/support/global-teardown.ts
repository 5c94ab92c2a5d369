export default async function teardown(): Promise<void> {
	await (globalThis as { stopPostgres?: () => Promise<void> }).stopPostgres?.();
}
