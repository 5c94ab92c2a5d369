// Plain JavaScript, so that a Node too old for TypeScript can still say so.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
	console.error(
		`moleculer-commerce needs Node 24 and this is ${process.version}: run "npm ci", which brings it along, and then "npm start"`,
	);
	process.exit(1);
}
await import("./start.ts");
