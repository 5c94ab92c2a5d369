// Plain JavaScript, so that a Node version without TypeScript support prints this message.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
	console.error(
		`moleculer-commerce needs Node 24, not ${process.version}: ` +
			`run "npm ci", which installs it, then "npm start"`,
	);
	process.exit(1);
}
await import("./compile-cache.js");
await import("./start.ts");
