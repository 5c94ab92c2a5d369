import { startEmbeddedPostgres } from "../embedded-postgres.ts";

try {
	const { stop, ...address } = await startEmbeddedPostgres({ dataDir: process.argv[2] ?? "" });
	const staying = setInterval(() => undefined, 60_000);
	process.once("SIGTERM", async () => {
		await stop();
		clearInterval(staying);
	});
	console.log(JSON.stringify(address));
} catch (error) {
	console.log(JSON.stringify({ error: String(error) }));
}
